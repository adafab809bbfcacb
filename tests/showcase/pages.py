"""Small pages with the elements that the page scripts fill, under the site's policy; and a browser's tab that gets them
from a folder and writes down whatever went wrong."""

from __future__ import annotations

import hashlib
import html
import json
import mimetypes
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cohort_cli.showcase.kernel import ASSETS
from cohort_cli.tokens import formats

SITE = "https://kit.test/"  # nothing is there: the tab answers itself. A secure address, so that hashes can be computed
ENGINE = ("kernel.js", "weights.js", "sampling.js", "engine.js", "tokenizer.js")
PARTS = ("page.js", "talk.js", "merges.js", "attention.js", "compare.js")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; font-src 'self'"
)
# The theme's variables, as the site has them.
THEME = """
:root { --md-default-fg-color: #000000de; --md-default-bg-color: #fff; --md-code-bg-color: #f5f5f5;
  --md-typeset-a-color: #0072b2; --cohort-vermillion: #c25500; }
[data-md-color-scheme="slate"] { --md-default-fg-color: #e2e4e9d1; --md-default-bg-color: #1e2129;
  --md-code-bg-color: #262933; --md-typeset-a-color: #6cb9e6; --cohort-vermillion: #ff9a52; }
body { background: var(--md-default-bg-color); color: var(--md-default-fg-color); font: 16px/1.5 sans-serif;
  margin: 0 auto; max-width: 61rem; padding: 0 1rem; }
"""
WATCH = """
globalThis.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push([event.violatedDirective, event.blockedURI]));
"""


def part(kind: str, **data: str) -> str:
    given = "".join(f' data-{name}="{html.escape(value)}"' for name, value in data.items())
    return f'<h2>{kind.capitalize()}</h2>\n<div data-cohort="{kind}"{given}>Without JavaScript.</div>\n'


def write_page(path: Path, *elements: str, scheme: str = "default") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scripts = "".join(f'<script src="../assets/{name}" defer></script>\n' for name in (*ENGINE, *PARTS))
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">\n'
        f'<link rel="stylesheet" href="../assets/theme.css"><link rel="stylesheet" href="../assets/showcase.css">\n'
        f'</head><body data-md-color-scheme="{scheme}"><main><h1>A page</h1>\n{"".join(elements)}</main>\n'
        f"{scripts}</body></html>",
        encoding="utf-8",
    )


def lay_assets(gallery: Path) -> None:
    shutil.copytree(ASSETS, gallery / "assets", dirs_exist_ok=True)
    (gallery / "assets" / "theme.css").write_text(THEME, encoding="utf-8")


def lay_entry(folder: Path, weights: bytes, tokenizer: str, metrics: Sequence[dict[str, float]] = ()) -> Path:
    """An entry's files for the page, with a page that has all of an entry's parts."""
    folder.mkdir(parents=True)
    files = {"model.safetensors": weights, "tokenizer.json": tokenizer.encode("utf-8")}
    sums = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    }
    files["model.json"] = json.dumps({"schema": "cohort.browser-model/1", "files": sums}).encode()
    files["metrics.jsonl"] = "".join(json.dumps(row) + "\n" for row in metrics).encode()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    here = {"files": "./"}
    write_page(
        folder / "index.html",
        part("talk", **here, prompt="the cat "),
        part("merges", **here, text="the cat and the hat"),
        part("attention", **here, prompt="the cat and"),
    )
    return folder


class Tab:
    """A page of the browser that gets `root` as SITE and nothing else."""

    def __init__(self, browser: Any, root: Path, **options: Any) -> None:
        self.root, self.elsewhere, self.said = root, [], []
        self.missing: set[str] = set()
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.page.add_init_script(WATCH)
        self.page.on("console", lambda line: self.said.append(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.route("**/*", self._answer)

    def _answer(self, route: Any) -> None:
        url = route.request.url.split("#")[0].split("?")[0]
        path = self.root / url.removeprefix(SITE)
        path = path / "index.html" if url.endswith("/") else path
        if not url.startswith(SITE) or ".." in url:
            self.elsewhere.append(url)
            route.abort()
        elif not path.is_file():
            self.missing.add(url.removeprefix(SITE))
            route.fulfill(status=404, body="not here")
        else:
            kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
            route.fulfill(body=path.read_bytes(), content_type=kind or "application/octet-stream")

    def open(self, path: str) -> Any:
        self.page.goto("about:blank")  # another fragment alone would not load the page again
        self.page.goto(SITE + path)
        return self.page

    def troubles(self) -> list[str]:
        """Errors of the console, what the policy forbade, and what was asked for elsewhere; then forgotten."""
        forbidden = self.page.evaluate("globalThis.violations.map(String)")
        found = [*self.said, *forbidden, *self.elsewhere]
        self.said.clear()
        self.elsewhere.clear()
        return found

    def close(self) -> None:
        self.context.close()


def bpe_of(pieces: list[bytes]) -> str:
    """A byte-level BPE without a pattern, with each of these as one token."""
    vocab, merges = {byte: bytes([byte]) for byte in range(256)}, []
    for piece in pieces:
        for end in range(2, len(piece) + 1):
            if piece[:end] not in vocab.values():
                merges.append((piece[: end - 1], piece[end - 1 : end]))
                vocab[len(vocab)] = piece[:end]
    vocab[len(vocab)] = b"<|endoftext|>"
    return formats.to_huggingface(formats.Parts(vocab, merges, ["<|endoftext|>"], None))
