"""A small kit whose site is built in a second, entries for its gallery, and a reader of the pages that come out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import typer
from entries import Files, dumped, run, with_file
from support import REPO

from cohort_cli import app
from cohort_cli.catalog import find_project
from cohort_cli.showcase import entry
from cohort_cli.showcase.gallery import staging
from cohort_cli.site.build import Site, build_site
from cohort_cli.site.stage import Addition
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path

CONFIG = load_preset(preset_path(find_project("project3"), "smoke"))
NAV = "nav:\n  - Start: index.md\n  - Gallery: gallery/index.md\n  - Commands: reference/cli.md\n"
SNIPPETS = "markdown_extensions:\n  - pymdownx.snippets\n"  # not ours: another site may have it switched on
SECRET = "the secret of the kit"


def make_kit(folder: Path) -> Path:
    """The real mkdocs.yml, a page, the projects' names, and no meetings."""
    for name in ("assets/cohort.css", "assets/reach.js"):
        (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / "docs" / name, folder / "docs" / name)
    (folder / "docs/gallery").mkdir()
    (folder / "docs/gallery/index.md").write_text("# Gallery\n\nNothing yet.\n")
    (folder / "docs/index.md").write_text("# Start\n")
    (folder / "secret.txt").write_text(SECRET)
    config = (REPO / "mkdocs.yml").read_text(encoding="utf-8")
    config = config[: config.index("\nnav:\n") + 1] + NAV
    (folder / "mkdocs.yml").write_text(config.replace("markdown_extensions:\n", SNIPPETS), encoding="utf-8")
    for name in ("project1_bpe_tokenizer", "project3_pretrain_finetune"):
        (folder / "projects" / name).mkdir(parents=True)
        shutil.copy(REPO / "projects" / name / "project.toml", folder / "projects" / name)
    return folder


def add_meetings(kit: Path) -> None:
    """Meetings of which only the heads are there: enough for who asks which projects they are about."""
    for path in (REPO / "meetings").glob("*/guide.md"):
        (kit / "meetings" / path.parent.name).mkdir(parents=True)
        shutil.copy(path, kit / "meetings" / path.parent.name)


def build(kit: Path, entries: Path, out: Path, say: Callable[[str], None], **options: Any) -> Site:
    program = typer.main.get_command(app.build())
    addition = Addition(lambda docs: staging.write(docs, entries, kit, say), staging.reads(entries))
    return build_site(kit, out, program, [addition], **options)


def long_run(handle: str = "ada", name: str = "small", samples: int = 20) -> Files:
    """A run as members have them: 1,500 steps, and samples of some lines."""
    rows: list[dict[str, Any]] = []
    for step in range(1, 1501):
        loss = round(2 + 6 / (1 + step / 50), 4)
        rows.append({"step": step, "loss": loss})
        if step % 50 == 0:
            rows.append({"step": step, "validation_loss": loss, "bits_per_byte": round(loss / 1.7, 4)})
    rows[-1]["validation_loss"] = 4.5
    words = "ROMEO:\nThe cat, which sat on the mat, said: “No!” And so it was.\n" * 7
    written = [{"step": step, "prompt": "The ", "text": words, "seed": 1} for step in range(samples)]
    files = with_file("metrics.jsonl", lines(rows))(run(CONFIG, handle, name))
    return with_file("samples.jsonl", lines(written))(files)


def lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(dumped(row) + b"\n" for row in rows)


def measure(
    folder: Path,
    value: float,
    *,
    half: float = 0.05,
    text: str = "a" * 64,
    name: str = "held-out",
    **changed: Any,
) -> Path:
    """Write what the organiser measured about an entry."""
    one = entry.load(folder)
    files = one.head["files"]
    claim = {"claimed": 6.5, "measured": value, "tolerance": 0.02, "state": "confirmed"}
    table = {
        "schema": "cohort.measured/1",
        "entry": one.folder,
        "model_sha256": files["model.safetensors"]["sha256"],
        "tokenizer_sha256": files["tokenizer.json"]["sha256"],
        "text": {"name": name, "bytes": 1000, "sha256": text},
        "bits_per_byte": {"value": value, "low": value - half, "high": value + half},
        "loss": 2.0,
        "tokens": 20_000,
        "parameters": 12_345,
        "claims": {"bits_per_byte": claim},
        "kit": "0.1.0",
        "measured_on": "2026-11-27",
        **changed,
    }
    path = folder.parent.parent / "measured" / f"{one.folder}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(table))
    return path


class Page(HTMLParser):
    """What a browser would make of a page: its elements in order, its text, and the text of its title."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._silent = 0
        self.feed(text)
        self.close()

    @classmethod
    def of(cls, path: Path) -> Page:
        return cls(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._silent += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]
