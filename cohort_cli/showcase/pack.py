"""Packs an entry from what is on the disk: a run, or a project of the workspace.

Never code, never a path of the machine, never an environment variable: what goes in is taken over key by key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli import __version__, progress
from cohort_cli.catalog import Project
from cohort_cli.errors import UsageError
from cohort_cli.prose import clean
from cohort_cli.showcase import card, contents, entry, figures
from cohort_cli.showcase.entry import CARD, HEAD
from cohort_cli.showcase.strict import Refused
from cohort_cli.training.guards import disk_trouble
from cohort_cli.workspace import Workspace, find_workspace


class Packed(NamedTuple):
    place: Path
    files: list[str]
    notes: list[str]  # what was left out, and why
    card_kept: bool


class Drawn(NamedTuple):
    """A figure: its file, and what is to be seen in it."""

    data: bytes
    says: str


class Parts(NamedTuple):
    """What goes into an entry beside its card."""

    kind: str
    name: str
    title: str
    project: str
    created: str
    claims: dict[str, float | int | None]
    files: dict[str, bytes]
    notes: list[str]


def add(
    parts: Parts, handle: str, out: Path, title: str = "", drawn: Mapping[str, Drawn] | None = None
) -> Packed:
    """Write the entry: whole, or what was there before. A card that is there already stays as it is."""
    drawn = drawn or {}
    if not re.fullmatch(contents.HANDLE, handle):
        raise UsageError(f"{handle!r} is no handle.", "Letters, digits, - and _, at most 32: --handle ada")
    title = title or parts.title
    pictures = {name: figure.data for name, figure in drawn.items()}
    head = {
        "schema": contents.SCHEMA,
        "handle": handle,
        "name": parts.name,
        "title": title,
        "kind": parts.kind,
        "project": parts.project,
        "created": parts.created,
        "kit": __version__,
        "files": entry.sealed(parts.files | pictures),
        "claims": parts.claims,
    }
    if drawn:
        head["figures"] = {name: figure.says for name, figure in drawn.items()}
    blank = card.template(parts.project, title).encode()
    files = {HEAD: to_json(head), CARD: blank, **parts.files, **pictures}
    try:
        one = entry.read(files, large=True)
    except Refused as why:
        raise UsageError(f"That would be no entry: {clean(str(why))}.", "See docs/showcase.md") from None
    place = out.absolute() / one.folder
    notes = list(parts.notes)
    for path in place.iterdir() if place.is_dir() else ():
        if figures.NAME.fullmatch(path.name) and path.name not in pictures:
            notes.append(f"{path.name} is no longer in it: no --figure named it")
        if contents.rule(path.name) is None and path.name not in entry.IGNORED:
            raise UsageError(
                f"{path} is no file of an entry, and would be lost.",
                "Move it somewhere else, then add again.",
            )
    try:
        with entry.locked(place.parent):
            written = place / CARD
            kept_card = written.is_file()
            entry.put({**files, CARD: written.read_bytes() if kept_card else blank}, place)
    except OSError as error:
        raise disk_trouble(error, str(place)) from None
    return Packed(out / one.folder, sorted(files), notes, kept_card)


def figure(given: str) -> tuple[str, Drawn]:
    """FILE=TEXT -> the figure's name in an entry, and the picture with nothing but its pixels."""
    example = 'For example: --figure curve.png="The loss falls from 4.2 to 1.9, then stays."'
    where, _, says = given.partition("=")
    path = Path(where)
    if not where or not says.strip():
        raise UsageError(f"{clean(given)!r} does not say what is to be seen in the figure.", example)
    try:
        with path.open("rb") as file:
            data = file.read(figures.MOST_SOURCE + 1)
        name = figures.name_for(path.stem)
        figures.table({name: says})
        return name, Drawn(figures.drawn_again(data), says)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error}).", example) from None
    except Refused as why:
        raise UsageError(f"{path} cannot be a figure: {why}.", "See docs/showcase.md") from None


# --- a project -------------------------------------------------------------------------------------------------


def of_project(project: Project) -> Parts:
    """The verdicts on a project of the workspace."""
    space = find_workspace()
    if not space.has(project):
        raise UsageError(f"{project.id} is not started here.", f"cohort start {project.id}")
    files = {"verdicts.json": verdicts(space, [project])}
    claims: dict[str, float | int | None] = dict.fromkeys(contents.CLAIMS)
    today = date.today().isoformat()
    return Parts("project", project.id, project.title, project.id, today, claims, files, [])


def verdicts(space: Workspace | None, projects: Iterable[Project]) -> bytes:
    found = {}
    for project in projects if space else ():
        assert space is not None
        states = {
            id: state for step in progress.of_project(space, project) for id, state in step.states.items()
        }
        hashes = progress.step_hashes(space.project_folder(project), project)
        found[project.id] = {"checks": states, "code": hashes}
    return to_json({"schema": contents.VERDICTS, "projects": found})


def to_json(table: dict[str, Any]) -> bytes:
    return (json.dumps(table, indent=1, allow_nan=False) + "\n").encode("ascii")
