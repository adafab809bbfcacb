"""The engine in a real browser: from a disk, as a module, and under a policy that forbids WebAssembly."""

from __future__ import annotations

import base64
import mimetypes
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from javascript import SCRIPTS
from networks import in_int8, logits, random_network

from cohort_cli.showcase.kernel import ASSETS
from cohort_cli.showcase.quantised import load

pytestmark = pytest.mark.browser
IDS = [5, 3, 8, 1, 1, 50, 2, 9, 30]
ASK = """
const bytes = Uint8Array.from(atob(globalThis.text), (letter) => letter.charCodeAt(0));
const model = cohort.load(bytes);
globalThis.answer = [model.usesKernel, [...model.feed(%s)]];
"""
POLICY = "default-src 'none'; script-src 'self'"
PLAIN = "".join(f'<script src="{name}"></script>' for name in (*SCRIPTS, "weights-of-page.js", "ask.js"))
MODULE = (
    '<script src="weights-of-page.js"></script><script type="module" src="engine.mjs"></script>'
    '<script type="module" src="ask.js"></script>'
)
PAGES = {"plain": ("", PLAIN), "module": ("", MODULE), "strict": (POLICY, PLAIN)}
PAGES["strict with WebAssembly"] = (f"{POLICY} 'wasm-unsafe-eval'", PLAIN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = in_int8(*random_network(positions="rope", norm="rmsnorm"))
    (tmp_path / "model.safetensors").write_bytes(data)
    text = base64.b64encode(data).decode("ascii")
    (tmp_path / "weights-of-page.js").write_text(f'globalThis.text = "{text}";', encoding="utf-8")
    (tmp_path / "ask.js").write_text(ASK % IDS, encoding="utf-8")
    for path in ASSETS.iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def asked(browser: Any, folder: Path, kind: str, *, from_disk: bool) -> tuple[bool, list[str]]:
    """(whether the kernel computed, what else the page asked for). The logits are torch's."""
    policy, scripts = PAGES[kind]
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if policy else ""
    (folder / "page.html").write_text(f"<!doctype html><title>a</title>{meta}{scripts}", encoding="utf-8")
    page = browser.new_page()
    wanted: list[str] = []

    def serve(route: Any) -> None:
        name = route.request.url.rsplit("/", 1)[-1]
        kind = "text/javascript" if name.endswith("js") else mimetypes.guess_type(name)[0]
        wanted.append(name)
        route.fulfill(body=(folder / name).read_bytes(), content_type=kind)

    page.route("http://kit.test/**", serve)
    page.goto((folder / "page.html").as_uri() if from_disk else "http://kit.test/page.html")
    uses, found = page.evaluate("globalThis.answer")
    page.close()
    expected = logits(load(folder / "model.safetensors"), IDS)[-1].numpy()
    assert np.abs(expected - found).max() < 1e-3
    return uses, wanted


def test_from_a_disk(browser: Any, folder: Path) -> None:
    assert asked(browser, folder, "plain", from_disk=True)[0] is True


@pytest.mark.parametrize(
    ("kind", "kernel"), [("module", True), ("strict", False), ("strict with WebAssembly", True)]
)
def test_from_a_server(browser: Any, folder: Path, kind: str, kernel: bool) -> None:
    uses, wanted = asked(browser, folder, kind, from_disk=False)
    assert uses is kernel
    assert set(wanted) <= {"page.html", "engine.mjs", "ask.js", "weights-of-page.js", *SCRIPTS}
