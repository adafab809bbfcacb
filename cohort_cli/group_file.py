"""Writes the group's cohort.toml: a new one, and changes that keep its comments and layout.

A change is checked as a whole before it replaces the file, and the file is replaced whole or not at all.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, time
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli import when
from cohort_cli.catalog import kit_root
from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.group import TITLES, Group, Meeting, Refused, check, read_group
from cohort_cli.planting import write_new
from cohort_cli.workspace import GROUP_SCHEMA, MANIFEST, SCHEMA, is_of


class Answers(NamedTuple):
    """What `cohort new` asks."""

    name: str
    zone: str
    first: date
    clock: time
    cadence: str
    place: str
    link: str
    handles: tuple[str, ...]
    minutes: int = 120


# --- a new one ------------------------------------------------------------------------------------


def check_place(folder: Path) -> None:
    """Refuse a folder that cannot become a group's. Nothing is written."""
    folder = folder.expanduser().absolute()
    if os.path.lexists(folder / MANIFEST):
        what = "a group's" if is_of(folder / MANIFEST, GROUP_SCHEMA) else "a workspace's or somebody else's"
        raise UsageError(
            f"{folder / MANIFEST} exists already ({what}), and nothing is overwritten.",
            "Choose another folder: cohort new our-group",
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder.", "Choose another name: cohort new our-group")
    real, kit = folder.resolve(), kit_root().resolve()
    if real == kit or kit in real.parents:
        raise UsageError(
            f"{folder} lies inside the kit ({kit}).", "Choose a place outside it: cohort new ~/our-group"
        )
    for parent in real.parents:
        if is_of(parent / MANIFEST, SCHEMA):
            message = f"{parent} is a member's workspace; the group's folder is shared, and lies outside it."
            raise UsageError(message, "Choose a place outside it: cohort new ~/our-group")


def create(folder: Path, answers: Answers) -> Group:
    """Write the file, whole or not at all. Raises UsageError if there is one, or if an answer contradicts another."""
    import tomllib

    check_place(folder)
    path = folder.expanduser().absolute() / MANIFEST
    text = render(answers, secrets.token_hex(16))
    try:
        check(tomllib.loads(text), path)
    except Refused as wrong:
        raise UsageError(str(wrong), "Nothing was written. Answer again: cohort new") from None
    if not write_new(path, text.encode()):
        raise UsageError(f"{path} has just been made by somebody else.", "Look at it: cohort schedule")
    return read_group(path)


def render(answers: Answers, id: str) -> str:
    """The text of a new file."""
    rows = [
        "# The group's meetings and members. Edit it by hand, or with: cohort schedule, cohort roles",
        f'schema = "{GROUP_SCHEMA}"',
        f"name = {_quoted(answers.name)}",
        f'id = "{id}"  # calendars know the meetings by it: never change it',
        f"time_zone = {_quoted(answers.zone)}",
        f'cadence = "{answers.cadence}"  # or "first Tuesday" (of the month), "last Friday", "every 4 weeks"',
        f"place = {_quoted(answers.place)}",
        f"link = {_quoted(answers.link)}",
        "",
        "# A meeting may have a place and a link of its own. `moved` counts how often it was moved.",
        "# Who does what may stand here too: presenter, backup, breaker, scribe, clock.",
    ]
    day = answers.first
    for number, title in enumerate(TITLES):
        rows += [
            "",
            f"[[meeting]]  # {title}",
            f"number = {number}",
            f'date = "{when.write_date(day)}"',
            f'time = "{answers.clock:%H:%M}"',
            f"minutes = {answers.minutes}",
        ]
        day = when.step(day, answers.cadence)
    rows += ["", "# may_be_named: on pages that everybody can read. Each decides that alone."]
    for handle in answers.handles:
        rows += [
            "",
            "[[member]]",
            f"handle = {_quoted(handle)}",
            "volunteers = true  # to present",
            "may_be_named = false",
        ]
    return "\n".join(rows) + "\n"


def _quoted(text: str) -> str:
    import tomlkit

    return tomlkit.string(text).as_string()


# --- a change -------------------------------------------------------------------------------------


def change(group: Group, changes: Mapping[int, Mapping[str, Any]]) -> Group:
    """Set keys of meetings: number -> key -> value; None takes a key away. Raises UsageError if the result is wrong."""
    import tomlkit

    try:
        before = group.path.read_bytes().decode("utf-8")
        document = tomlkit.parse(before)
        entries: Any = document["meeting"]
        for entry in entries:
            for key, value in changes.get(entry["number"], {}).items():
                if value is None:
                    entry.pop(key, None)
                else:
                    _set(entry, key, value)
        text = tomlkit.dumps(document)
        if "\r\n" in before:  # lines that are new end as the others do
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        check(document.unwrap(), group.path)
    except Refused as wrong:
        raise UsageError(f"{wrong} Nothing was changed.", "Look at the dates: cohort schedule") from None
    replace(group.path, text.encode())
    return read_group(group.path)


def _set(table: Any, key: str, value: Any) -> None:
    """Set a key. A new one comes after the last that has a value, before the blank lines and comments that follow."""
    import tomlkit

    if key in table:
        table[key] = value
        return
    if not hasattr(table.value, "_insert_after"):
        table[key] = value  # at the end, which may be below the comment of what follows
        return
    known = [known for known, _ in table.value.body if known is not None]
    table.value._insert_after(known[-1].key, key, tomlkit.item(value))


def moved(meeting: Meeting, day: date, clock: time) -> dict[str, Any]:
    """The keys that change when a meeting gets another time."""
    return {"date": when.write_date(day), "time": f"{clock:%H:%M}", "moved": meeting.moved + 1}


def shifted(group: Group, number: int) -> dict[int, dict[str, Any]]:
    """This meeting and all later ones take the time of the one that follows them; the last takes the cadence's next day.

    So a date that the group has agreed on stays one. Times of cancelled meetings are not used again.
    """
    late = [meeting for meeting in group.meetings if meeting.number >= number]
    times = [(meeting.day, meeting.clock) for meeting in late[1:] if not meeting.cancelled]
    day, clock = times[-1] if times else (late[0].day, late[0].clock)
    while len(times) < len(late):
        day = when.step(day, group.cadence)
        times.append((day, clock))
    return {
        meeting.number: {**moved(meeting, *time), "cancelled": None}
        for meeting, time in zip(late, times, strict=True)
    }


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as trouble:
        raise EnvironmentTrouble(
            f"{path} cannot be written: {trouble.strerror or trouble}. It is as it was.",
            "Check the folder's permissions and the free space of the disk.",
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink()
