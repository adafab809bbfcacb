"""The group's meetings as a calendar file (RFC 5545) that every calendar program can subscribe to or import.

A meeting keeps its UID for ever, and its SEQUENCE grows with each change, so what is moved here moves there. There is
nobody's name in the file: it is often laid where everybody can read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.group import Group, Meeting
from cohort_cli.manifest import read_text

if TYPE_CHECKING:
    from icalendar import Calendar, Event, Timezone

# What a calendar shows. If one of these differs from the file that was written before, SEQUENCE must have grown.
SHOWN = ("DTSTART", "DURATION", "STATUS", "SUMMARY", "LOCATION", "URL")
MARGIN = timedelta(days=400)  # the rules of the time zone, before the first and after the last meeting


class Earlier(NamedTuple):
    """An event of the file that was written before."""

    shown: tuple[str, ...]
    sequence: int
    stamp: datetime


class Made(NamedTuple):
    content: bytes
    raised: dict[int, int]  # meeting -> its SEQUENCE, where that is more than the group's file says


def uid(group: Group, meeting: Meeting) -> str:
    return f"{group.id}-{meeting.number}"


def make(group: Group, now: datetime, earlier: dict[str, Earlier] | None = None) -> Made:
    """The calendar. An event that is as it was keeps its time stamp, so an unchanged calendar is the same file."""
    from icalendar import Calendar

    calendar = Calendar()
    calendar.add("prodid", "-//cohort//cohort schedule//EN")
    calendar.add("version", "2.0")
    calendar.add("name", group.name)
    calendar.add("x-wr-calname", group.name)  # the older name of the same thing
    if str(group.zone) != "UTC":
        calendar.add_component(_time_zone(group))
    raised = {}
    for meeting in group.meetings:
        event = _event(group, meeting)
        sequence, stamp = meeting.moved, now
        old = (earlier or {}).get(uid(group, meeting))
        if old:
            same = old.shown == _shown(event)
            sequence = max(sequence, old.sequence if same else old.sequence + 1)
            stamp = old.stamp if same and sequence == old.sequence else now
        if sequence != meeting.moved:
            raised[meeting.number] = sequence
        event.add("sequence", sequence)
        event.add("dtstamp", stamp.astimezone(UTC).replace(microsecond=0))
        calendar.add_component(event)
    return Made(calendar.to_ical(), raised)


def read_earlier(path: Path, group: Group) -> dict[str, Earlier]:
    """UID -> event of a calendar that was made for this group. Refuses any other file: it would be overwritten."""
    from icalendar import Calendar

    try:
        calendar: Calendar = Calendar.from_ical(read_text(path))
        events = {str(event["UID"]): _earlier(event) for event in calendar.walk("VEVENT")}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        events = {}
    if not any(name.startswith(f"{group.id}-") for name in events):
        raise UsageError(
            f"{path} exists, and is no calendar of {group.name}; it is not overwritten.",
            "Choose another name: cohort schedule --ics meetings.ics",
        )
    return events


def _earlier(event: Any) -> Earlier:
    return Earlier(_shown(event), int(event.get("SEQUENCE", 0)), event.decoded("DTSTAMP"))


def _shown(event: Any) -> tuple[str, ...]:
    """The event's face. Instants are compared in UTC: a time zone may have other rules by now."""
    values = []
    for name in SHOWN:
        value = event.get(name)
        value = getattr(value, "dt", value)
        values.append(str(value.astimezone(UTC) if isinstance(value, datetime) else value or ""))
    return tuple(values)


def _event(group: Group, meeting: Meeting) -> Event:
    from icalendar import Event

    event = Event()
    event.add("uid", uid(group, meeting))
    event.add("dtstart", meeting.starts)
    event.add(
        "duration", timedelta(minutes=meeting.minutes)
    )  # DTEND could not say which 02:30 of a night in autumn
    event.add("summary", f"{group.name}, meeting {meeting.number}: {meeting.title}")
    event.add("status", "CANCELLED" if meeting.cancelled else "CONFIRMED")
    place, link = meeting.place or group.place, meeting.link or group.link
    if place or link:
        event.add("location", place or link)
    if link:
        event.add("url", link)
    return event


def ends(meeting: Meeting) -> datetime:
    """So many minutes later by a stopwatch, also in a night in which the clocks change."""
    zone = meeting.starts.tzinfo
    return (meeting.starts.astimezone(UTC) + timedelta(minutes=meeting.minutes)).astimezone(zone)


# --- the time zone --------------------------------------------------------------------------------


def _time_zone(group: Group) -> Timezone:
    """A VTIMEZONE with one entry for each change of the clocks around the meetings.

    icalendar can make one too, but with every change from 1970 to 2038 in lists (RDATE), which not every program reads
    right, and with a spring that begins an hour late.
    """
    from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

    first = group.meetings[0].starts.astimezone(UTC) - MARGIN
    last = max(meeting.starts for meeting in group.meetings).astimezone(UTC) + MARGIN
    zone = Timezone()
    zone.add("tzid", str(group.zone))
    for moment in (first, *_changes(group.zone, first, last)):
        local = moment.astimezone(group.zone)
        before = (moment - timedelta(seconds=1)).astimezone(group.zone).utcoffset() or timedelta()
        part = TimezoneDaylight() if local.dst() else TimezoneStandard()
        part.add("tzname", local.tzname())
        part.add("tzoffsetfrom", before)
        part.add("tzoffsetto", local.utcoffset())
        part.add("dtstart", moment.replace(tzinfo=None) + before)
        zone.add_component(part)
    return zone


def _changes(zone: tzinfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """The instants, to the second, at which the offset changes. Two changes within a day would be missed."""
    day = timedelta(days=1)
    while first < last:
        low, high = first, first + day
        old = low.astimezone(zone).utcoffset()
        if high.astimezone(zone).utcoffset() != old:
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if middle.astimezone(zone).utcoffset() == old else (low, middle)
            yield high.replace(microsecond=0)
        first += day
