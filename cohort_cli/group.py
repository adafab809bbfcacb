"""The group's own cohort.toml: its meetings and members, in a folder that the group shares.

our-group/
  cohort.toml      schema "cohort.cohort/1"; made by `cohort new`, edited by hand and by `cohort schedule`

A member's workspace has a file of the same name and another schema. Each is passed over when the other is looked for.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from contextlib import suppress
from datetime import date, datetime, time, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli import when
from cohort_cli.errors import BrokenManifest, NoCohort, NoWorkspace
from cohort_cli.manifest import build, line_of, load_toml, require_schema
from cohort_cli.workspace import (
    GROUP_SCHEMA,
    MANIFEST,
    SCHEMA,
    Workspace,
    find_workspace,
    is_of,
    open_workspace,
)

TITLES = (
    "Introduction",
    "Tokenization and embeddings",
    "Attention",
    "LLM architecture and catch-up",
    "Pre-training",
    "Fine-tuning",
    "Showcase",
)
JOBS = ("presenter", "backup", "breaker", "scribe", "clock")
HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,38}")
ID = re.compile(r"[0-9a-f]{16,64}")
LONGEST = 24 * 60  # minutes of a meeting


class _File(NamedTuple):
    """The file's own keys, as they stand there."""

    schema: str
    name: str
    id: str
    time_zone: str
    cadence: str
    place: str = ""
    link: str = ""


class _Meeting(NamedTuple):
    """A [[meeting]], as it stands there."""

    number: int
    date: str
    time: str
    minutes: int = 120
    place: str = ""
    link: str = ""
    moved: int = 0
    cancelled: bool = False
    presenter: str = ""
    backup: str = ""
    breaker: str = ""
    scribe: str = ""
    clock: str = ""


class Member(NamedTuple):
    handle: str
    volunteers: bool = True  # to present
    may_be_named: bool = False  # on a page that everybody can read


class Meeting(NamedTuple):
    number: int
    day: date
    clock: time
    starts: datetime  # in the group's time zone
    minutes: int
    place: str
    link: str
    moved: int  # how often: its SEQUENCE in calendars
    cancelled: bool
    kept: dict[str, str]  # job -> handle, as far as the file says

    @property
    def title(self) -> str:
        return TITLES[self.number]


class Group(NamedTuple):
    path: Path
    name: str
    id: str  # the calendar's identifiers are made of it
    zone: tzinfo
    cadence: str
    place: str
    link: str
    meetings: tuple[Meeting, ...]  # by number, which is by time
    members: tuple[Member, ...]
    notes: tuple[str, ...]  # what is doubtful, and how it was understood

    @property
    def held(self) -> list[Meeting]:
        """The meetings that are not cancelled."""
        return [meeting for meeting in self.meetings if not meeting.cancelled]

    def meeting(self, number: int) -> Meeting | None:
        return next((meeting for meeting in self.meetings if meeting.number == number), None)

    def next(self, instant: datetime) -> Meeting | None:
        """The first meeting that begins on this day or later."""
        today = instant.astimezone(self.zone).date()
        return next((meeting for meeting in self.held if meeting.day >= today), None)


class Refused(ValueError):
    """What a file or a change of it says wrongly; `key` of the table `section`, the `which`-th of its name."""

    def __init__(self, message: object, key: str, section: str = "", which: int = 0) -> None:
        super().__init__(str(message))
        self.key, self.section, self.which = key, section, which


# --- finding it -----------------------------------------------------------------------------------


def find_cohort(start: Path | None = None) -> Group:
    """The group whose folder holds `start` (default: the current folder), or that a workspace or COHORT_GROUP names."""
    named = os.environ.get("COHORT_GROUP")
    if named and start is None:
        return open_group(Path(named).expanduser().absolute(), "COHORT_GROUP names it.")
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        path = folder / MANIFEST
        if is_of(path, GROUP_SCHEMA):
            return read_group(path)
        if is_of(path, SCHEMA):
            space = open_workspace(folder)
            if space.group:
                return open_group(space.root / space.group, f"{path} names it.")
    with suppress(NoWorkspace):
        space = find_workspace() if os.environ.get("COHORT_WORKSPACE") else Workspace(start)
        if space.group:
            return open_group(space.root / space.group, f"{space.root / MANIFEST} names it.")
    for folder in (
        start,
        *start.parents,
    ):  # one that cannot be read is there all the same: say what is wrong with it
        if (folder / MANIFEST).is_file():
            load_toml(folder / MANIFEST)
    raise NoCohort(
        f"There is no group's {MANIFEST} here or above: {start}",
        "Make one with: cohort new our-group    or name its folder in COHORT_GROUP, "
        f'or as group = "../our-group" in your workspace\'s {MANIFEST}.',
    )


def open_group(folder: Path, why: str) -> Group:
    path = Path(os.path.normpath(folder)) / MANIFEST
    if not path.is_file():
        raise NoCohort(
            f"{path.parent} is no group's folder: it has no {MANIFEST}. {why}", "Correct that path."
        )
    return read_group(path)


# --- reading it -----------------------------------------------------------------------------------


def read_group(path: Path) -> Group:
    """The file, checked. Raises BrokenManifest with file, line and key."""
    table = load_toml(path)
    require_schema(table, GROUP_SCHEMA, path)
    try:
        return check(table, path)
    except Refused as wrong:
        place = f" in {wrong.section}" if wrong.section else ""
        line = line_of(path, wrong.key, wrong.section, wrong.which)
        raise BrokenManifest(f"{path}{line}: {wrong.key!r}{place}: {wrong}", "Correct that line.") from None


def check(table: dict[str, Any], path: Path) -> Group:
    """What the file's tables say. Raises BrokenManifest or Refused."""
    own = {key: value for key, value in table.items() if key not in ("meeting", "member")}
    file = build(_File, own, path)
    if not file.name.strip():
        raise Refused("The group needs a name.", "name")
    check_lines(file._asdict())
    if not ID.fullmatch(file.id):
        raise Refused("This must be what `cohort new` wrote, 16 or more of 0-9 and a-f.", "id")
    try:
        zone = when.parse_zone(file.time_zone)
    except ValueError as wrong:
        raise Refused(wrong, "time_zone") from None
    try:
        cadence = when.parse_cadence(file.cadence)
    except ValueError as wrong:
        raise Refused(wrong, "cadence") from None
    records = [build(_Meeting, *entry) for entry in _tables(table, "meeting", path)]
    members = [build(Member, *entry) for entry in _tables(table, "member", path)]
    check_handles(members)
    handles = {member.handle.casefold(): member.handle for member in members}
    meetings = [_meeting(record, which, zone, handles) for which, record in enumerate(records)]
    _check_order(meetings)
    notes = _doubts(meetings, zone)
    texts = (file.name.strip(), file.id, zone, cadence, file.place.strip(), file.link.strip())
    return Group(path, *texts, tuple(meetings), tuple(members), tuple(notes))


def _tables(table: dict[str, Any], name: str, path: Path) -> list[tuple[Any, Path, str, int]]:
    """Every [[name]] with what `build` needs beside it. There must be one at least."""
    found = table.get(name)
    if not isinstance(found, list) or not found:
        raise BrokenManifest(f"{path}: there is no [[{name}]].", f"Add one, headed [[{name}]].")
    return [(entry, path, f"[[{name}]]", which) for which, entry in enumerate(found)]


def _meeting(record: _Meeting, which: int, zone: tzinfo, handles: dict[str, str]) -> Meeting:
    def refused(message: object, key: str) -> Refused:
        return Refused(message, key, "[[meeting]]", which)

    if not 0 <= record.number < len(TITLES):
        raise refused(f"{record.number} is none of 0 to {len(TITLES) - 1}.", "number")
    try:
        day = when.parse_date(record.date)
    except ValueError as wrong:
        raise refused(wrong, "date") from None
    try:
        clock = when.parse_time(record.time)
        starts = when.instant(day, clock, zone)
    except ValueError as wrong:
        raise refused(wrong, "time") from None
    if not 1 <= record.minutes <= LONGEST:
        raise refused(f"A meeting takes 1 to {LONGEST} minutes, not {record.minutes}.", "minutes")
    if record.moved < 0:
        raise refused("How often it was moved is 0 or more.", "moved")
    check_lines({"place": record.place, "link": record.link}, "[[meeting]]", which)
    kept = {job: getattr(record, job) for job in JOBS if getattr(record, job)}
    for job, handle in kept.items():
        if not HANDLE.fullmatch(handle):
            raise refused(f"{handle!r} is no handle.", job)
        kept[job] = handles.get(handle.casefold(), handle)  # or of somebody who has left
    where = (record.minutes, record.place.strip(), record.link.strip())
    return Meeting(record.number, day, clock, starts, *where, record.moved, record.cancelled, kept)


def check_lines(texts: dict[str, str], section: str = "", which: int = 0) -> None:
    """Each is one line, and a link has no blank."""
    for key, text in texts.items():
        if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
            raise Refused("This must be one line without tabs.", key, section, which)
        if key == "link" and len(text.split()) > 1:
            raise Refused(f"{text!r} is no link: it has a blank.", key, section, which)


def _check_order(meetings: list[Meeting]) -> None:
    """By number, none twice; and those that are held one after the other in time."""
    for which, (one, two) in enumerate(pairwise(meetings), 1):
        if two.number == one.number:
            raise Refused(f"There are two meetings {two.number}.", "number", "[[meeting]]", which)
        if two.number < one.number:
            message = f"Meeting {two.number} stands after meeting {one.number}: put them in order."
            raise Refused(message, "number", "[[meeting]]", which)
    held = [(which, meeting) for which, meeting in enumerate(meetings) if not meeting.cancelled]
    for (_, one), (which, two) in pairwise(held):
        if two.starts.timestamp() < one.starts.timestamp() + 60 * one.minutes:
            raise Refused(
                f"Meeting {two.number} on {when.write_date(two.day)} at {two.clock:%H:%M} begins before meeting "
                f"{one.number} ({when.write_date(one.day)}, {one.clock:%H:%M}, {one.minutes} minutes) is over.",
                "date",
                "[[meeting]]",
                which,
            )


def check_handles(members: list[Member]) -> None:
    for which, member in enumerate(members):
        if not HANDLE.fullmatch(member.handle):
            message = f"{member.handle!r} must be letters, digits and - _ . only, 39 at most, without @."
            raise Refused(message, "handle", "[[member]]", which)
    count = Counter(member.handle.casefold() for member in members)
    for which, member in enumerate(members):
        if count[member.handle.casefold()] > 1:
            raise Refused(f"{member.handle} is there twice.", "handle", "[[member]]", which)


def _doubts(meetings: list[Meeting], zone: tzinfo) -> list[str]:
    notes = []
    for meeting in meetings:
        if when.comes_twice(meeting.starts):
            notes.append(
                f"Meeting {meeting.number}: on {when.write_date(meeting.day)} the clocks of {zone} show "
                f"{meeting.clock:%H:%M} twice. The first is meant here."
            )
    return notes
