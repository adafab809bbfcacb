"""The seven meetings, as their folders hold them.

meetings/2_attention/
  guide.md         what to read and do at home, in three passes          "cohort.meeting/1"
  prompts.md       questions to talk about, each with what helps to lead "cohort.prompts/1"
  facilitator.md   the run sheet: 120 minutes in blocks                  "cohort.sheet/1"
  slides.md        what the presenter shows                              "cohort.slides/1"
  lab.py           cells that run, as a notebook or one by one

Each Markdown file begins with a table in TOML between two lines `+++`, and its first key says what it is. One reader for
all of them, which refuses unknown keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cohort_cli.catalog import kit_root
from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.manifest import build, read_text

FENCE = "+++"
MINUTES = 120  # of a meeting
COUNT = 7
KINDS = ("idea", "prediction", "measurement", "argument", "experience")
FORMATS = ("alone, in pairs, together", "pods", "together", "in writing")

Record = TypeVar("Record", bound=NamedTuple)


class Passes(NamedTuple):
    """Minutes of the three ways through a guide."""

    short: int
    core: int
    deep: int


class Guide(NamedTuple):
    """The head of guide.md."""

    number: int
    title: str
    question: str  # the one that the meeting is about
    minutes: Passes
    projects: tuple[str, ...] = ()  # that are worked on at home


class Prompt(NamedTuple):
    """One question to talk about, and what helps whoever leads."""

    ask: str
    kind: str
    minutes: int
    format: str
    touches: tuple[str, ...]  # what a good answer touches
    silence: str  # what to ask next when nobody speaks
    misconception: str  # what to listen for
    try_it: str  # a command that shows it


class Block(NamedTuple):
    """One part of the evening."""

    title: str
    minutes: int
    who: str
    do: str


class Page(NamedTuple):
    """One file, cut in two. `first_line`: where the body begins in the file, counted from 1."""

    path: Path
    head: dict[str, Any]
    body: str
    first_line: int


class Meeting(NamedTuple):
    folder: Path
    guide: Guide

    @property
    def name(self) -> str:
        """The folder's name, such as "2_attention"."""
        return self.folder.name

    @property
    def lab(self) -> Path:
        return self.folder / "lab.py"

    def page(self, file: str) -> Page:
        return read_page(self.folder / file)

    def prompts(self) -> list[Prompt]:
        return _records(Prompt, self.page("prompts.md"), "cohort.prompts/1", "prompt")

    def blocks(self) -> list[Block]:
        return _records(Block, self.page("facilitator.md"), "cohort.sheet/1", "block")


def meetings(root: Path | None = None) -> list[Meeting]:
    """All that there are, in order. Raises BrokenManifest for a head that cannot be read."""
    return [_read(path.parent) for path in sorted(((root or kit_root()) / "meetings").glob("*/guide.md"))]


def find_meeting(word: str, root: Path | None = None) -> Meeting:
    """The meeting called "2", "m2" or by its folder's name. The others are not read."""
    folders = sorted(path.parent for path in ((root or kit_root()) / "meetings").glob("*/guide.md"))
    for folder in folders:
        number = folder.name.partition("_")[0]
        if word in (number, f"m{number}", folder.name):
            return _read(folder)
    known = ", ".join(folder.name.partition("_")[0] for folder in folders)
    raise UsageError(f"There is no meeting {word!r}.", f"There are: {known}.")


def read_page(path: Path) -> Page:
    """A file's head and body. Raises BrokenManifest that names file and line."""
    lines = read_text(path).splitlines()
    if not lines or lines[0] != FENCE or FENCE not in lines[1:]:
        raise BrokenManifest(
            f"{path}:1: there is no head.", f"Begin with a line {FENCE}, a table in TOML, and {FENCE}."
        )
    end = lines.index(FENCE, 1)
    try:
        head = tomllib.loads("\n".join(lines[1:end]))
    except tomllib.TOMLDecodeError as trouble:
        raise BrokenManifest(f"{path}: the head is not valid TOML: {trouble} of the head.") from None
    body = "\n".join(lines[end + 1 :]).strip("\n") + "\n"
    skipped = next((n for n, line in enumerate(lines[end + 1 :]) if line.strip()), 0)
    return Page(path, head, body, end + 2 + skipped)


def require(page: Page, schema: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The head without its schema, which must be this one; no other keys than these."""
    found = page.head.get("schema")
    if found != schema:
        raise BrokenManifest(f'{page.path}:2: the head says schema = "{found}"; it must be "{schema}".')
    rest = {key: value for key, value in page.head.items() if key != "schema"}
    for key in rest:
        if keys and key not in keys:
            raise BrokenManifest(f"{page.path}: unknown key {key!r}.", f"Known here: {', '.join(keys)}.")
    return rest


def _read(folder: Path) -> Meeting:
    page = read_page(folder / "guide.md")
    head = require(page, "cohort.meeting/1")
    minutes = build(Passes, head.pop("minutes", {}), page.path, "[minutes]")
    guide = build(_GuideHead, head, page.path)
    if not folder.name.startswith(f"{guide.number}_"):
        raise BrokenManifest(
            f"{page.path}: number is {guide.number}, but the folder is called {folder.name}."
        )
    return Meeting(folder, Guide(guide.number, guide.title, guide.question, minutes, guide.projects))


class _GuideHead(NamedTuple):
    number: int
    title: str
    question: str
    projects: tuple[str, ...] = ()


def _records(cls: type[Record], page: Page, schema: str, key: str) -> list[Record]:
    tables = require(page, schema, (key,)).get(key)
    if not isinstance(tables, list) or not tables:
        raise BrokenManifest(f"{page.path}: there is no [[{key}]] in the head.")
    return [build(cls, table, page.path, f"[[{key}]]") for table in tables]
