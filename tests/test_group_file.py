"""The group's file is written whole or not at all, and a change keeps what people wrote."""

from __future__ import annotations

import os
from datetime import date, time
from pathlib import Path

import pytest
from fake_group import DAYS, make_group

from cohort_cli import group_file, planting, when
from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.group import Group, read_group

TEXTS = ['quotes " and \\', "'single'", "# no comment", "ünï 你好", '"""', "a = 1", "\\u0041"]


def days(group: Group) -> list[str]:
    return [str(meeting.day) for meeting in group.meetings]


def test_a_new_file_has_seven_meetings(group: Group) -> None:
    assert days(group) == list(DAYS)
    assert len(group.id) == 32
    assert group.id != make_group(group.path.parent.parent / "other").id


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_read_back(home: Path, text: str) -> None:
    group = make_group(home / "our-group", name=text, place=text)
    assert (group.name, group.place) == (text, text)


def test_nothing_is_overwritten(group: Group) -> None:
    before = group.path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        make_group(group.path.parent)
    assert group.path.read_bytes() == before


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"first": date(2026, 12, 27), "clock": time(2, 30), "cadence": "last Sunday"}, "the clocks skip it"),
        ({"handles": ("ada", "Ada")}, "is there twice"),
        ({"handles": ("a b",)}, "must be letters"),
        ({"link": "two words"}, "has a blank"),
        ({"name": "two\nlines"}, "one line"),
        ({"minutes": 0}, "1 to 1440"),
    ],
)
def test_answers_that_cannot_be_leave_nothing(home: Path, answers: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_group(home / "our-group", **answers)
    assert not (home / "our-group").exists()


def test_bad_places(home: Path, kit: Path) -> None:
    (home / "file").write_text("mine", encoding="utf-8")
    space = planting.create(home / "my-llm").workspace
    for folder, says in [
        (home / "file", "is a file"),
        (kit / "our-group", "inside the kit"),
        (space.root, "exists already"),
        (space.root / "our-group", "is a member's workspace"),
    ]:
        with pytest.raises(UsageError, match=says):
            make_group(folder)


# --- a change -------------------------------------------------------------------------------------


def test_a_change_keeps_every_other_byte(group: Group) -> None:
    text = group.path.read_text(encoding="utf-8")
    text = text.replace(
        'date = "Tuesday 2027-03-02"', "date   =  'Tuesday 2027-03-02'   # not in the holidays"
    )
    text = text.replace("[[meeting]]  # Pre-training", "# the long one\n[[meeting]]")
    group.path.write_text(text, encoding="utf-8", newline="")
    changed = group_file.change(
        group, {3: group_file.moved(group.meetings[3], date(2027, 3, 9), time(18, 30))}
    )
    assert changed == read_group(group.path)
    after = text.replace("date   =  'Tuesday 2027-03-02'", 'date   =  "Tuesday 2027-03-09"')
    head, found, tail = after.partition(
        '2027-03-09"   # not in the holidays\ntime = "19:00"\nminutes = 120\n'
    )
    assert found
    expected = head + found.replace("19:00", "18:30") + "moved = 1\n" + tail
    assert group.path.read_bytes().decode() == expected


def test_lines_that_are_new_end_as_the_others_do(group: Group) -> None:
    group.path.write_bytes(group.path.read_bytes().replace(b"\n", b"\r\n"))
    group_file.change(group, {3: {"moved": 1}})
    content = group.path.read_bytes()
    assert b"moved = 1\r\n" in content
    assert content.count(b"\n") == content.count(b"\r\n")


def test_a_file_in_another_layout_can_be_changed_too(group: Group) -> None:
    head, _, tail = group.path.read_text(encoding="utf-8").partition("[[meeting]]")
    rows = (
        '{number = 0, date = "2026-12-01", time = "19:00"}, {number = 1, date = "2027-01-05", time = "19:00"}'
    )
    tail = "[[member]]" + tail.partition("[[member]]")[2]
    group.path.write_text(f"{head}\nmeeting = [{rows}]\n\n{tail}", encoding="utf-8")
    changed = group_file.change(read_group(group.path), {1: {"moved": 2, "cancelled": True}})
    assert (changed.meetings[1].moved, changed.meetings[1].cancelled) == (2, True)


def test_a_change_that_cannot_be_changes_nothing(group: Group) -> None:
    before = group.path.read_bytes()
    third = group.meetings[3]
    for day, clock, says in [
        (date(2027, 2, 2), time(20), "is over"),
        (date(2027, 5, 4), time(19), "is over"),
        (date(2027, 3, 28), time(2, 30), "skip"),
    ]:
        with pytest.raises(UsageError, match=says):
            group_file.change(group, {3: group_file.moved(third, day, clock)})
    assert group.path.read_bytes() == before


def test_a_disk_that_is_full_leaves_the_file(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    before = group.path.read_bytes()

    def full(*words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(EnvironmentTrouble, match="It is as it was"):
        group_file.change(group, {3: {"cancelled": True}})
    assert group.path.read_bytes() == before
    assert [path.name for path in group.path.parent.iterdir()] == ["cohort.toml"]


# --- a shift --------------------------------------------------------------------------------------


def shift(group: Group, number: int) -> Group:
    return group_file.change(group, group_file.shifted(group, number))


def test_each_takes_the_date_of_the_next_one(group: Group) -> None:
    group = group_file.change(group, {3: {"cancelled": True, "moved": 1}})
    shifted = shift(group, 3)
    assert days(shifted) == [*DAYS[:3], *DAYS[4:], "2027-07-06"]
    assert [meeting.moved for meeting in shifted.meetings] == [0, 0, 0, 2, 1, 1, 1]
    assert not any(meeting.cancelled for meeting in shifted.meetings)


def test_a_date_that_was_agreed_on_stays_one(group: Group) -> None:
    """Meeting 4 was moved for a holiday: nobody can on the first Tuesday of that month, whatever the topic is."""
    group = group_file.change(group, {4: group_file.moved(group.meetings[4], date(2027, 4, 15), time(18))})
    shifted = shift(group, 3)
    assert days(shifted)[3:] == ["2027-04-15", "2027-05-04", "2027-06-01", "2027-07-06"]
    assert [meeting.clock.hour for meeting in shifted.meetings[3:]] == [18, 19, 19, 19]


def test_dates_of_cancelled_meetings_are_not_used_again(group: Group) -> None:
    group = group_file.change(group, {3: {"cancelled": True}, 4: {"cancelled": True}})
    shifted = shift(group, 3)
    assert days(shifted)[3:] == ["2027-05-04", "2027-06-01", "2027-07-06", "2027-08-03"]


def test_the_last_one_takes_the_next_of_the_cadence(home: Path) -> None:
    group = make_group(home / "our-group", cadence="every 4 weeks")
    assert days(shift(group, 6))[5:] == ["2027-04-20", "2027-06-15"]
    assert when.step(date(2027, 5, 18), "every 4 weeks") == date(2027, 6, 15)
