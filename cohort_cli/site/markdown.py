"""Walks one Markdown page line by line, and hands each piece outside code to maths, figures and links.

What counts as code: a fenced block (``` or ~~~) and a `span`. Blocks that are code only by their
indentation are not recognised; our guides use fences.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cohort_cli.errors import BrokenManifest
from cohort_cli.site import figures, maths

_FENCE = re.compile(r"^[\s>]*(`{3,}|~{3,})")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_FIGURE = re.compile(r'^!\[(?P<alt>[^\]]*)\]\((?P<target>[^)\s]+\.svg)(?:\s+"(?P<caption>[^"]*)")?\)\s*$')


@dataclass(frozen=True)
class Place:
    """Where a trouble is, for the message: the guide as it lies in the kit, not the staged copy."""

    file: Path
    line: int

    def trouble(self, message: str, repair: str = "") -> BrokenManifest:
        return BrokenManifest(f"{self.file}:{self.line}: {message}", repair)


def convert(text: str, file: Path, kit: Path, link: Callable[[str, Place], str]) -> str:
    """The page with maths as MathML, figures as inline SVG and links passed through `link`.

    `link` gets a line with its code spans put aside. Raises BrokenManifest that names file and line.
    """
    out: list[str] = []
    lines = text.splitlines()
    fence = ""
    number = 0
    while number < len(lines):
        line = lines[number]
        place = Place(file, number + 1)
        number += 1
        marker = _FENCE.match(line)
        if fence:
            closes = marker and marker[1].startswith(fence) and line.strip(" >") == marker[1]
            fence = "" if closes else fence
            out.append(line)
        elif marker:
            fence = marker[1]
            out.append(line)
        elif line.lstrip().startswith("$$"):
            block, number = _display_block(lines, number - 1, place)
            out.append(maths.display(block, place))
        elif figure := _FIGURE.match(line):
            svg = _inside(file.parent / figure["target"], kit, place)
            out.append(figures.inline(svg, figure["alt"], figure["caption"], place))
        else:
            spans: list[str] = []
            prose = _put_aside(line, spans)
            out.append(_put_back(link(maths.inline(prose, place), place), spans))
    if fence:
        raise Place(file, len(lines)).trouble(f"a code block that begins with {fence} is never closed.")
    return "\n".join(out) + "\n"


def _put_aside(line: str, spans: list[str]) -> str:
    """The line with a mark in place of each `code span`, which goes to `spans`.

    Put aside and put back, not split at: the text of a link may hold code.
    """

    def aside(match: re.Match[str]) -> str:
        spans.append(match[0])
        return f"\x00{len(spans) - 1}\x00"

    return _SPAN.sub(aside, line)


def _put_back(line: str, spans: list[str]) -> str:
    return re.sub(r"\x00(\d+)\x00", lambda match: spans[int(match[1])], line)


def _display_block(lines: list[str], start: int, place: Place) -> tuple[str, int]:
    """The LaTeX between `$$` and `$$`, and the number of the line after it."""
    collected = lines[start].strip().removeprefix("$$")
    number = start + 1
    while not collected.rstrip().endswith("$$"):
        if number == len(lines) or not lines[number].strip():
            raise place.trouble(
                "this $$ is never closed.", "End the equation with $$, before any empty line."
            )
        collected += "\n" + lines[number]
        number += 1
    return collected.rstrip().removesuffix("$$").strip(), number


def _inside(path: Path, kit: Path, place: Place) -> Path:
    """The real path, if it is a file of the kit."""
    real = path.resolve()
    if not real.is_relative_to(kit.resolve()):
        raise place.trouble(f"{path.name} lies outside the kit, so it is not put on the site.")
    if not real.is_file():
        raise place.trouble(f"there is no file {path}.")
    return real
