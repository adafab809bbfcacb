"""A group for tests: seven meetings on the first Tuesday of each month, from 2026-12-01 at 19:00 in Berlin."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import Any

from cohort_cli import group_file
from cohort_cli.group import Group, Meeting, Member, check
from cohort_cli.group_file import Answers

HANDLES = ("ada", "lin", "sam", "m4", "m5", "m6", "m7", "m8")
DAYS = ("2026-12-01", "2027-01-05", "2027-02-02", "2027-03-02", "2027-04-06", "2027-05-04", "2027-06-01")
ID = "0123456789abcdef0123456789abcdef"
ANSWERS = Answers(
    "First Tuesdays",
    "Europe/Berlin",
    date(2026, 12, 1),
    time(19),
    "first Tuesday",
    "Library, room 2",
    "https://meet.example.org/x",
    HANDLES,
)


def make_group(folder: Path, **answers: Any) -> Group:
    """Write the group's file, as `cohort new` does."""
    return group_file.create(folder, ANSWERS._replace(**answers))


def group_of(**answers: Any) -> Group:
    """The same without a file."""
    import tomllib

    return check(tomllib.loads(group_file.render(ANSWERS._replace(**answers), ID)), Path("cohort.toml"))


def with_meeting(group: Group, number: int, **values: Any) -> Group:
    meetings = [each._replace(**values) if each.number == number else each for each in group.meetings]
    return group._replace(meetings=tuple(meetings))


def meetings_of(count: int) -> list[Meeting]:
    return list(group_of().meetings[:count])


def members_of(count: int, volunteers: int | None = None) -> list[Member]:
    return [Member(f"m{number}", volunteers is None or number < volunteers) for number in range(count)]
