"""`cohort schedule`: the table, the calendar file, and what moves a meeting."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ical.calendar_stream import IcsCalendarStream
from support import REPO, Cohort

from cohort_cli import group_file
from cohort_cli.group import Group, read_group

NEXT = "next: cohort schedule --ics FILE      (so that it moves in calendars too)\n"


def sequences(path: Path) -> list[int | None]:
    calendar = IcsCalendarStream.calendar_from_ics(path.read_bytes().decode())
    return [event.sequence for event in calendar.events]


def edit(group: Group, old: str, new: str) -> None:
    text = group.path.read_text(encoding="utf-8")
    assert old in text
    group.path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_table(group: Group, cohort: Cohort) -> None:
    group_file.change(group, {4: {"place": "Elsewhere"}, 5: {"cancelled": True}, 6: {"presenter": "ada"}})
    ended = cohort("schedule")
    assert (ended.code, ended.err) == (0, "")
    rows = ended.out.splitlines()
    assert rows[:2] == [
        "First Tuesdays, times of Europe/Berlin",
        "Library, room 2, https://meet.example.org/x",
    ]
    assert rows[5].startswith("  3  LLM architecture and catch-up  Tue  2027-03-02  19:00  CET   ")
    assert rows[6].startswith("  4  Pre-training                   Tue  2027-04-06  19:00  CEST  ")
    assert rows[7] == "     at Elsewhere"
    assert rows[8].endswith("CEST  cancelled")
    assert rows[9].endswith("CEST  ada")
    assert rows[-2:] == ["The next is meeting 3, in 6 days.", "next: cohort post announcement"]
    assert max(map(len, rows)) <= 80


def test_after_the_last(group: Group, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHORT_NOW", "2028-01-01T00:00+00:00")
    assert cohort("schedule").out.endswith("All meetings have been.\nnext: cohort roles\n")


def test_a_name_cannot_steer_the_terminal(group: Group, cohort: Cohort) -> None:
    edit(group, "Library, room 2", "Lib\u202erary")
    assert "Lib\\u202erary" in cohort("schedule").out


def test_a_calendar_file(group: Group, cohort: Cohort) -> None:
    ended = cohort("schedule", "--ics", "meetings.ics")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("wrote meetings.ics: 7 meetings\nnext: ")
    assert sequences(Path("meetings.ics")) == [0] * 7


def test_a_moved_meeting_moves_in_the_calendar(group: Group, cohort: Cohort) -> None:
    cohort("schedule", "--ics", "meetings.ics")
    ended = cohort("schedule", "move", "3", "Tuesday", "2027-03-09", "--time", "18:30")
    assert ended.out == f"meeting 3: Tuesday 2027-03-02 19:00 -> Tuesday 2027-03-09 18:30\n{NEXT}"
    assert cohort("schedule", "--ics", "meetings.ics").err == ""
    assert sequences(Path("meetings.ics")) == [0, 0, 0, 1, 0, 0, 0]


def test_a_date_changed_by_hand_is_noticed_and_counted(group: Group, cohort: Cohort) -> None:
    cohort("schedule", "--ics", "meetings.ics")
    edit(group, "Tuesday 2027-03-02", "Tuesday 2027-03-09")
    ended = cohort("schedule", "--ics", "meetings.ics")
    assert ended.err == "Changed by hand: meeting 3. cohort.toml counts that as moved now.\n"
    assert read_group(group.path).meetings[3].moved == 1
    assert cohort("schedule", "--ics", "meetings.ics").err == ""
    assert cohort("schedule", "--ics", "other.ics").code == 0
    assert sequences(Path("other.ics")) == sequences(Path("meetings.ics")) == [0, 0, 0, 1, 0, 0, 0]


def test_a_meeting_that_is_taken_out_is_named(group: Group, cohort: Cohort) -> None:
    cohort("schedule", "--ics", "meetings.ics")
    text = group.path.read_text(encoding="utf-8")
    start, end = text.index("[[meeting]]  # Showcase"), text.index("# may_be_named")
    group.path.write_text(text[:start] + text[end:], encoding="utf-8")
    assert (
        "Meeting 6 is in meetings.ics and no more in cohort.toml"
        in cohort("schedule", "--ics", "meetings.ics").err
    )


def test_somebody_elses_file_is_not_overwritten(group: Group, cohort: Cohort) -> None:
    Path("mine.ics").write_text("mine", encoding="utf-8")
    ended = cohort("schedule", "--ics", "mine.ics")
    assert (ended.code, Path("mine.ics").read_text(encoding="utf-8")) == (2, "mine")


def test_cancel_and_shift(group: Group, cohort: Cohort) -> None:
    ended = cohort("schedule", "cancel", "5")
    assert ended.out.startswith(
        "meeting 5: Tuesday 2027-05-04 19:00 -> cancelled\nnext: cohort schedule shift 5 "
    )
    cohort("schedule", "--ics", "meetings.ics")
    assert "STATUS:CANCELLED" in Path("meetings.ics").read_text(encoding="utf-8")
    ended = cohort("schedule", "shift", "5")
    assert ended.out == (
        "meeting 5: cancelled -> Tuesday 2027-06-01 19:00\n"
        f"meeting 6: Tuesday 2027-06-01 19:00 -> Tuesday 2027-07-06 19:00\n{NEXT}"
    )
    cohort("schedule", "--ics", "meetings.ics")
    assert "STATUS:CANCELLED" not in Path("meetings.ics").read_text(encoding="utf-8")
    assert sequences(Path("meetings.ics")) == [0, 0, 0, 0, 0, 2, 1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["move", "3", "Monday", "2027-03-09"],
            "2027-03-09 is a Tuesday, not a Monday. Nothing was changed.",
        ),
        (["move", "3", "tomorrow"], "is no date"),
        (["move", "3", "2027-03-28", "--time", "02:30"], "the clocks skip it. Nothing was changed."),
        (["move", "3", "2027-04-06"], "is over. Nothing was changed."),
        (["move", "3", "2027-03-02"], "is then already"),
        (["move", "7", "2027-03-02"], "There is no meeting 7."),
        (["move", "three", "2027-03-02"], "three"),
        (["shift", "7"], "There is no meeting 7."),
        (["--ics", "x.ics", "shift", "3"], "--ics goes with no other verb"),
    ],
)
def test_what_cannot_be_changes_nothing(group: Group, cohort: Cohort, words: list[str], says: str) -> None:
    before = group.path.read_bytes()
    ended = cohort("schedule", *words)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert len(ended.err.strip().splitlines()) == 2, "one line says what is wrong, one what to do"
    assert group.path.read_bytes() == before


def test_a_meeting_is_cancelled_once(group: Group, cohort: Cohort) -> None:
    cohort("schedule", "cancel", "3")
    before = group.path.read_bytes()
    assert cohort("schedule", "cancel", "3").code == 2
    assert group.path.read_bytes() == before


def test_a_time_that_comes_twice_is_said_when_it_is_chosen(group: Group, cohort: Cohort) -> None:
    ended = cohort("schedule", "move", "6", "Sunday", "2027-10-31", "--time", "02:30")
    assert ended.code == 0
    assert re.match("Meeting 6: .* twice", ended.err)
    assert "twice" in cohort("schedule").err


@pytest.mark.parametrize("words", [["schedule"], ["roles", "--json"], ["post", "nudge"]])
def test_reading_the_file_imports_neither_library(group: Group, cohort: Cohort, words: list[str]) -> None:
    """Who only looks waits for neither of them."""
    code = f"""
import sys
from cohort_cli.app import run
code = run({words!r})
print([name for name in ("icalendar", "tomlkit", "dateutil", "torch") if name in sys.modules], code, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert done.stderr.strip() == "[] 0"


@pytest.mark.parametrize("words", [["schedule"], ["roles"], ["post", "nudge"], ["schedule", "shift", "1"]])
def test_without_a_group_it_says_what_to_do(home: Path, cohort: Cohort, words: list[str]) -> None:
    ended = cohort(*words)
    assert (ended.code, ended.out) == (3, "")
    assert "cohort new our-group" in ended.err
    assert len(ended.err.strip().splitlines()) == 2


def test_a_broken_file_is_named_with_its_line(group: Group, cohort: Cohort) -> None:
    edit(group, "Tuesday 2027-03-02", "Monday 2027-03-02")
    ended = cohort("schedule")
    assert ended.code == 3
    assert re.search(
        r"cohort\.toml:\d+: 'date' in \[\[meeting\]\]: 2027-03-02 is a Tuesday, not a Monday", ended.err
    )


def test_a_cancelled_meeting_is_not_moved_in_silence(group: Group, cohort: Cohort) -> None:
    assert cohort("schedule", "cancel", "3").code == 0
    before = group.path.read_bytes()
    ended = cohort("schedule", "move", "3", "2027-03-09")
    assert (ended.code, ended.out) == (2, "")
    assert "cohort schedule shift 3" in ended.err
    assert group.path.read_bytes() == before
