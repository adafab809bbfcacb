"""Reads a project's known mistakes: mistakes/<step>.toml holds small edits of the reference."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import BrokenManifest
from cohort_cli.manifest import build, line_of, load_toml


class Mistake(NamedTuple):
    """A known wrong answer: a few small edits of one file of the reference."""

    name: str
    step: str
    file: str
    check: str  # the check that must refuse it
    why: str
    edits: tuple[tuple[str, str], ...]  # (find, replace)

    def apply(self, source: str) -> str:
        """The reference's text with this mistake in it. BrokenManifest unless each `find` occurs once."""
        for find, replace in self.edits:
            count = source.count(find)
            if count != 1:
                raise BrokenManifest(
                    f"mistake {self.name}: this occurs {count} times in {self.file}, not once:\n{find}",
                    f"Repair it in mistakes/{self.step}.toml.",
                )
            source = source.replace(find, replace)
        return source


class _Entry(NamedTuple):
    """One [[mistake]] of a mistakes/<step>.toml."""

    name: str
    file: str
    check: str
    why: str
    find: str = ""
    replace: str = ""


class _Edit(NamedTuple):
    find: str
    replace: str


def read_mistakes(path: Path, step: str) -> list[Mistake]:
    """The known mistakes of one step. A step without such a file has none."""
    if not path.exists():
        return []
    table = load_toml(path)
    for key in table:
        if key != "mistake" or not isinstance(table[key], list):
            raise BrokenManifest(f"{path}{line_of(path, key)}: unknown key {key!r}.", "Write [[mistake]].")
    mistakes = []
    for entry in table.get("mistake", []):
        edits = entry.pop("edits", None)
        words = build(_Entry, entry, path, "[[mistake]]")
        if (edits is None) != ("find" in entry and "replace" in entry):
            raise BrokenManifest(f"{path}: mistake {words.name!r} needs either find and replace, or edits.")
        if edits is None:
            pairs = [_Edit(words.find, words.replace)]
        else:
            pairs = [build(_Edit, edit, path, "edits") for edit in edits]
        if not pairs or not all(pair.find for pair in pairs):
            raise BrokenManifest(f"{path}: mistake {words.name!r} has no text to find.")
        mistakes.append(
            Mistake(
                name=words.name,
                step=step,
                file=words.file,
                check=words.check,
                why=words.why,
                edits=tuple((pair.find, pair.replace) for pair in pairs),
            )
        )
    return mistakes
