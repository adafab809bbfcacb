"""The calendar, read back by two other libraries; and what a moved meeting keeps and raises.

vobject works a time out from the rules in the file: for it the zone gets a name that nobody knows. ical checks every
property, and takes the zone by its name.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
import vobject
from fake_group import ID, group_of, make_group, with_meeting
from hypothesis import given, settings
from hypothesis import strategies as st
from ical.calendar_stream import IcsCalendarStream

from cohort_cli import ics, when
from cohort_cli.errors import UsageError
from cohort_cli.group import Group, Refused

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LATER = datetime(2026, 12, 24, 12, tzinfo=UTC)
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Europe/Dublin",  # its winter is the exception, not its summer
    "Australia/Lord_Howe",  # by half an hour, and in the south
    "Pacific/Chatham",  # 12:45 and 13:45 ahead
    "Africa/Casablanca",  # four changes in some years
    "Asia/Kolkata",
    "America/St_Johns",
    "UTC",
]
names = itertools.count()


def read_by_vobject(content: bytes) -> list[vobject.base.Component]:
    """Its events, by number. The zone's name is replaced, or it would look that up in the machine's own tables."""
    text = content.decode().replace("\r\n ", "")
    for zone in ZONES:
        text = text.replace(f"TZID:{zone}\r", "TZID:X\r").replace(f"TZID={zone}:", "TZID=X:")
    name = f"Nowhere/{next(names)}"
    text = text.replace("TZID:X\r", f"TZID:{name}\r").replace("TZID=X:", f"TZID={name}:")
    return list(vobject.readOne(text).vevent_list)


def instants(group: Group) -> list[tuple[datetime, timedelta]]:
    return [(each.starts.astimezone(UTC), timedelta(minutes=each.minutes)) for each in group.meetings]


def assert_both_read_the_right_instants(group: Group) -> None:
    content = ics.make(group, NOW).content
    events = read_by_vobject(content)
    found = [(event.dtstart.value.astimezone(UTC), event.duration.value) for event in events]
    assert found == instants(group), "by the rules in the file"
    calendar = IcsCalendarStream.calendar_from_ics(content.decode())
    found = [(event.dtstart.astimezone(UTC), event.duration) for event in calendar.events]
    assert found == instants(group), "by the zone's name"


@pytest.mark.parametrize("zone", ZONES)
def test_other_libraries_read_the_right_instants_across_a_change_of_the_clocks(zone: str) -> None:
    group = group_of(zone=zone)
    assert_both_read_the_right_instants(group)
    offsets = {meeting.starts.utcoffset() for meeting in group.meetings}
    assert (len(offsets) > 1) == (zone not in ("UTC", "Asia/Kolkata")), "there is a change between them"


def test_in_berlin_the_meeting_is_an_hour_earlier_in_summer() -> None:
    """Written out by hand, so that nothing is computed twice by the same code."""
    events = read_by_vobject(ics.make(group_of(), NOW).content)
    assert [f"{event.dtstart.value.astimezone(UTC):%m-%d %H:%M}" for event in events] == [
        "12-01 18:00", "01-05 18:00", "02-02 18:00", "03-02 18:00", "04-06 17:00", "05-04 17:00", "06-01 17:00",
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.dates(date(2024, 1, 1), date(2036, 12, 31)),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, 300),
    st.sampled_from(["every 1 weeks", "every 4 weeks", "last Sunday", "monthly"]),
)
def test_any_day_and_time_is_read_back(
    zone: str, first: date, minute: int, minutes: int, cadence: str
) -> None:
    clock = time(*divmod(minute, 60))
    try:
        group = group_of(
            zone=zone, first=first, clock=clock, minutes=minutes, cadence=when.parse_cadence(cadence, first)
        )
    except Refused:  # a time that the clocks skip: test_when
        return
    assert_both_read_the_right_instants(group)


@pytest.mark.parametrize(
    ("first", "hour"),
    [
        *((date(2027, 3, 28), hour) for hour in (0, 1, 3, 4)),
        *((date(2027, 10, 31), hour) for hour in (0, 1, 2, 3, 4)),
    ],
)
def test_in_the_very_night_of_the_change_too(first: date, hour: int) -> None:
    """At 02:30 in autumn, which comes twice, the first is meant, here and there."""
    assert_both_read_the_right_instants(group_of(first=first, clock=time(hour, 30), cadence="every 1 weeks"))


@pytest.mark.parametrize("zone", ZONES[:-1])
def test_the_zones_rules_are_right_at_every_hour_around_the_meetings(zone: str) -> None:
    """Read as the standard says: a rule holds from DTSTART on, which is told by the clocks before the change."""
    group = group_of(zone=zone)
    calendar = IcsCalendarStream.calendar_from_ics(ics.make(group, NOW).content.decode())
    (rules,) = calendar.timezones
    observances = [*rules.standard, *rules.daylight]
    onsets = sorted(
        (rule.dtstart.replace(tzinfo=UTC) - rule.tz_offset_from.offset, rule.tz_offset_to.offset)
        for rule in observances
    )
    assert all(rule.rdate == [] and rule.rrule is None for rule in observances)
    moment, last = group.meetings[0].starts.astimezone(UTC), group.meetings[-1].starts.astimezone(UTC)
    while moment < last:
        offset = [offset for onset, offset in onsets if onset <= moment][-1]
        assert offset == moment.astimezone(group.zone).utcoffset()
        moment += timedelta(minutes=30)


def test_what_an_event_says() -> None:
    group = with_meeting(group_of(), 3, cancelled=True, moved=2)
    group = with_meeting(group, 4, place="The, other; room", link="")
    calendar = IcsCalendarStream.calendar_from_ics(ics.make(group, NOW).content.decode())
    one, three, four = (calendar.events[number] for number in (1, 3, 4))
    assert one.uid == f"{ID}-1"
    assert (one.summary, one.location) == (
        "First Tuesdays, meeting 1: Tokenization and embeddings",
        "Library, room 2",
    )
    assert (str(one.url), one.status, one.sequence) == ("https://meet.example.org/x", "CONFIRMED", 0)
    assert (one.dtstamp, three.status, three.sequence) == (NOW, "CANCELLED", 2)
    assert four.location == "The, other; room"


def test_nobody_is_named() -> None:
    content = ics.make(with_meeting(group_of(), 3, kept={"presenter": "ada"}), NOW).content
    assert b"ada" not in content.replace(ID.encode(), b"")


def test_lines_are_at_most_75_bytes_and_end_as_the_standard_says() -> None:
    content = ics.make(group_of(name="é" * 100), NOW).content
    assert content.count(b"\n") == content.count(b"\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 75
    assert read_by_vobject(content)[0].summary.value.startswith("é" * 100)


# --- what comes after ------------------------------------------------------------------------------


def written(
    folder: Path, group: Group, now: datetime = NOW, old: bool = False
) -> tuple[Path, dict[int, int]]:
    path = folder / "meetings.ics"
    made = ics.make(group, now, ics.read_earlier(path, group) if old else None)
    path.write_bytes(made.content)
    return path, made.raised


def events_of(path: Path) -> dict[str, tuple[int, datetime, datetime]]:
    """uid -> sequence, stamp, start; as the other library reads them."""
    calendar = IcsCalendarStream.calendar_from_ics(path.read_bytes().decode())
    return {event.uid: (event.sequence, event.dtstamp, event.dtstart) for event in calendar.events}


def test_nothing_new_is_the_same_file(tmp_path: Path) -> None:
    path, _ = written(tmp_path, group_of())
    before = path.read_bytes()
    written(tmp_path, group_of(), LATER, old=True)
    assert path.read_bytes() == before


def test_a_moved_meeting_keeps_its_identifier_and_raises_its_sequence(tmp_path: Path) -> None:
    path, _ = written(tmp_path, group_of())
    before = events_of(path)
    meeting = group_of().meetings[3]
    moved = with_meeting(group_of(), 3, moved=1, starts=meeting.starts + timedelta(days=7))
    path, raised = written(tmp_path, moved, LATER, old=True)
    after = events_of(path)
    assert list(after) == list(before)
    assert raised == {}, "the group's file said so"
    assert after[f"{ID}-3"] == (1, LATER, meeting.starts + timedelta(days=7))
    assert {uid: after[uid] for uid in after if uid != f"{ID}-3"} == {
        uid: before[uid] for uid in before if uid != f"{ID}-3"
    }


@pytest.mark.parametrize(
    "change",
    [
        {"starts": group_of().meetings[3].starts + timedelta(days=7)},
        {"minutes": 90},
        {"cancelled": True},
        {"place": "elsewhere"},
        {"link": "https://meet.example.org/other"},
    ],
)
def test_a_change_by_hand_is_noticed(tmp_path: Path, change: dict[str, object]) -> None:
    written(tmp_path, group_of())
    path, raised = written(tmp_path, with_meeting(group_of(), 3, **change), LATER, old=True)
    assert raised == {3: 1}
    assert events_of(path)[f"{ID}-3"][:2] == (1, LATER)
    before = path.read_bytes()
    _, raised = written(tmp_path, with_meeting(group_of(), 3, moved=1, **change), LATER, old=True)
    assert (raised, path.read_bytes()) == ({}, before), "and only once"


def test_one_that_was_moved_several_times_between_two_calendars(tmp_path: Path) -> None:
    written(tmp_path, group_of())
    path, raised = written(tmp_path, with_meeting(group_of(), 3, moved=3, minutes=90), LATER, old=True)
    assert (raised, events_of(path)[f"{ID}-3"][0]) == ({}, 3)


def test_a_sequence_never_falls(tmp_path: Path) -> None:
    """Somebody has put an older cohort.toml back: the calendars know a higher number already."""
    written(tmp_path, with_meeting(group_of(), 3, moved=5))
    path, raised = written(tmp_path, group_of(), LATER, old=True)
    assert raised == {3: 5}
    assert events_of(path)[f"{ID}-3"][0] == 5
    moved = with_meeting(group_of(), 3, moved=1, minutes=90)
    path, raised = written(tmp_path, moved, LATER, old=True)
    assert (raised, events_of(path)[f"{ID}-3"][0]) == ({3: 6}, 6)


@pytest.mark.parametrize(
    "content",
    [
        b"mine\n",
        b"",
        b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTAMP:nonsense\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        ics.make(group_of()._replace(id="f" * 32), NOW).content,
    ],
)
def test_a_file_that_is_not_this_groups_calendar_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "meetings.ics"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not overwritten"):
        ics.read_earlier(path, group_of())


def test_two_groups_have_no_identifier_in_common(tmp_path: Path) -> None:
    one, two = make_group(tmp_path / "one"), make_group(tmp_path / "two")
    assert not {ics.uid(one, each) for each in one.meetings} & {ics.uid(two, each) for each in two.meetings}
