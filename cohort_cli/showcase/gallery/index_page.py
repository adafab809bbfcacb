"""The gallery's first page, and the one on which two entries are compared.

There is no ranking unless showcase.toml asks for one. Then only what the organiser measured counts, on one and the same
text, and entries whose intervals overlap share a place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from cohort_cli.showcase.entry import MODEL, Entry
from cohort_cli.showcase.gallery import entry_page, results, scripts
from cohort_cli.showcase.gallery.entry_page import block, front
from cohort_cli.showcase.gallery.measured import Known, Measured
from cohort_cli.showcase.gallery.safe import text


class Shown(NamedTuple):
    """What lists say of an entry. The entry itself may have many megabytes, and need not be kept for it."""

    folder: str
    handle: str
    title: str
    project: str
    kind: str
    live: bool
    parameters: int | None
    claimed: float | None  # bits per byte
    measured: Measured | None


def shown(one: Entry, known: Known) -> Shown:
    head, claims = one.head, one.head["claims"]
    parameters = known.measured.parameters if known.measured else claims["parameters"]
    live = set(MODEL) <= one.files.keys()
    return Shown(
        one.folder, head["handle"], head["title"], head["project"], head["kind"], live, parameters,
        claims["bits_per_byte"], known.measured,
    )  # fmt: skip


def in_order(entries: Sequence[Shown]) -> list[Shown]:
    return sorted(entries, key=lambda one: (one.project, one.folder.casefold(), one.folder))


def index_page(
    entries: Sequence[Shown],
    guides: Mapping[str, tuple[str, str]],
    meetings: Sequence[tuple[int, str]],
    ranking: bool,
) -> str:
    """meetings: number and title of those with a page."""
    parts = [front("Gallery") + "# Gallery", "What this group made. Each entry has a page of its own."]
    links = [
        f'<a href="./meetings/{number}/">Meeting {number}: {text(title)}</a>' for number, title in meetings
    ]
    if len(comparable(entries)) > 1:
        links.insert(0, '<a href="./compare/">Compare two of them</a>')
    parts.append(block(f"{scripts.styles('./')}{_list(links)}"))
    if ranking and (ranked := _ranking(entries)):
        parts += ["## By bits per byte", block(ranked)]
    known = [one for one in in_order(entries) if one.project in guides]
    for project, its in groupby(known, key=lambda one: one.project):
        parts += [f"## {guides[project][0]}", block(cards(list(its), "./"))]
    if others := [one for one in in_order(entries) if one.project not in guides]:
        parts += ["## Other", block(cards(others, "./"))]
    return "\n\n".join(parts) + "\n"


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""


def cards(entries: Sequence[Shown], up: str) -> str:
    """A list of entries. `up`: the way from the page's final address to gallery/."""
    return f'<ul class="cohort-cards">{"".join(_card(one, up) for one in entries)}</ul>'


def _card(one: Shown, up: str) -> str:
    facts = [f"by {text(one.handle)}"]
    if one.parameters is not None:
        facts.append(f"{one.parameters:,} parameters")
    if one.measured:
        facts.append(f"{results.number(one.measured.bits_per_byte)} bits per byte, measured")
    elif one.claimed is not None:
        facts.append(f"{results.number(one.claimed)} bits per byte, claimed")
    facts += ["answers in your browser"] if one.live else []
    return (
        f'<li><a href="{up}{text(one.folder)}/"><bdi>{text(one.title)}</bdi></a>'
        f"<span>{' · '.join(facts)}</span></li>"
    )


# --- a ranking -------------------------------------------------------------------------------------------------


def places(entries: Sequence[Shown]) -> list[tuple[int, bool, Shown]]:
    """(place, whether it is shared, entry), best first. All are measured on one text.

    A place is one more than the number of entries that are better beyond doubt: whose interval ends before this one
    begins. It is shared where an interval overlaps with another's.
    """
    found = []
    for one in sorted(entries, key=lambda one: (_of(one).bits_per_byte, one.folder)):
        others = [_of(other) for other in entries if other is not one]
        better = sum(other.high < _of(one).low for other in others)
        tie = any(other.low <= _of(one).high and _of(one).low <= other.high for other in others)
        found.append((better + 1, tie, one))
    return found


def _of(one: Shown) -> Measured:
    assert one.measured is not None
    return one.measured


def _ranking(entries: Sequence[Shown]) -> str:
    """A table for each text that something was measured on: numbers on different texts do not compare."""
    measured = sorted((one for one in entries if one.measured), key=lambda one: _of(one).text_sha256)
    tables = []
    for _, group in groupby(measured, key=lambda one: _of(one).text_sha256):
        its = list(group)
        rows = [
            [
                f"{place}{', shared' if tie else ''}",
                f'<a href="./{text(one.folder)}/"><bdi>{text(one.title)}</bdi></a>, {text(one.handle)}',
                f"{results.number(_of(one).bits_per_byte)} ({results.number(_of(one).low)} to "
                f"{results.number(_of(one).high)})",
            ]
            for place, tie, one in places(its)
        ]
        caption = f"Measured on {text(_of(its[0]).text_name)}"
        tables.append(results.table(caption, ["place", "entry", "bits per byte"], rows))
    below = (
        "<p>Only what whoever keeps the showcase measured, on the same text. A place is shared where the 95 % intervals "
        "overlap: then nobody knows which of them is better.</p>"
    )
    return "".join(tables) + below if tables else ""


# --- comparing -------------------------------------------------------------------------------------------------


def compare_page() -> str:
    fallback = (
        "With JavaScript, two models answer one prompt here, side by side, and two curves lie in one drawing."
    )
    element = (
        f'<div data-cohort="compare" data-list="../entries.json" data-base="../"><p>{fallback}</p></div>'
    )
    return (
        front("Compare two entries")
        + "# Compare two entries\n\n[All entries](index.md)\n\n"
        + block(f"{scripts.styles(entry_page.UP)}{element}{scripts.of_comparison(entry_page.UP)}")
        + "\n"
    )


def comparable(entries: Sequence[Shown]) -> list[Shown]:
    """Runs: a project has neither a curve nor a model."""
    return [one for one in in_order(entries) if one.kind == "run"]


def for_scripts(entries: Sequence[Shown]) -> dict[str, Any]:
    """entries.json."""
    return {
        "schema": "cohort.gallery/1",
        "entries": [
            {
                "folder": one.folder,
                "title": one.title,
                "handle": one.handle,
                "project": one.project,
                "kind": one.kind,
                "live": one.live,
                "parameters": one.parameters,
                "bits_per_byte": one.measured.bits_per_byte if one.measured else one.claimed,
            }
            for one in comparable(entries)
        ],
    }
