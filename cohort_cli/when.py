"""Days, times and time zones of a group: read, checked, written, and counted on by a cadence.

A wrong word raises ValueError whose text is a sentence for the user. Weekdays are English everywhere, so that a
file means the same on every machine.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path

from cohort_cli.errors import UsageError

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ORDINALS = ("first", "second", "third", "fourth", "last")


def now() -> datetime:
    """This instant, in UTC. COHORT_NOW, such as 2026-12-01T18:00+00:00, puts another in its place."""
    told = os.environ.get("COHORT_NOW")
    if not told:
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(told).astimezone(UTC)
    except ValueError:
        message = f"COHORT_NOW is {told!r}, which is no instant such as 2026-12-01T18:00+00:00."
        raise UsageError(message, "Correct that variable, or unset it.") from None


def parse_date(text: str) -> date:
    """The day of "Tuesday 2026-12-01" or "2026-12-01"."""
    found = re.fullmatch(r"(?:([A-Za-z]+),?\s+)?(\d{4}-\d\d-\d\d)", text.strip())
    if not found:
        raise ValueError(f'{text!r} is no date. Write it as in "Tuesday 2026-12-01".')
    try:
        day = date.fromisoformat(found[2])
    except ValueError:
        raise ValueError(f"{found[2]} is a day that the calendar does not have.") from None
    if not 2000 <= day.year < 2200:
        raise ValueError(f"{found[2]} is no year of a group's.")
    if found[1]:
        weekday = _weekday(found[1])
        if weekday != day.weekday():
            raise ValueError(f"{day} is a {WEEKDAYS[day.weekday()]}, not a {WEEKDAYS[weekday]}.")
    return day


def write_date(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()]} {day}"


def parse_time(text: str) -> time:
    """The time of day of "19:00"."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
    if not found:
        raise ValueError(f'{text!r} is no time of day. Write it as in "19:00".')
    return time(int(found[1]), int(found[2]))


def parse_zone(name: str) -> tzinfo:
    """The IANA time zone of that name, such as Europe/Berlin. Abbreviations are refused: they know no summer."""
    from zoneinfo import ZoneInfo, available_timezones

    from cohort_cli.manifest import did_you_mean

    try:
        if "/" in name or name == "UTC":
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name at all; a folder of zones
        pass
    places = sorted(zone for zone in available_timezones() if "/" in zone)
    close = did_you_mean(name, places) if places and not name.isupper() else ""
    advice = close if close.startswith("Did") else "Write a place, such as Europe/Berlin or America/New_York."
    raise ValueError(f"{name!r} is no time zone. {advice}")


def machine_zone() -> str:
    """The time zone that this machine is set to, or "" where it does not say one by its IANA name."""
    candidates = [os.environ.get("TZ", "").lstrip(":")]
    candidates.append(os.path.realpath("/etc/localtime").partition("zoneinfo/")[2])
    with suppress(OSError, UnicodeDecodeError):
        candidates.append(Path("/etc/timezone").read_text(encoding="utf-8").strip())
    for name in candidates:
        name = name.removeprefix("Etc/") if name == "Etc/UTC" else name
        try:
            parse_zone(name)
        except ValueError:
            continue
        return name
    return ""


def instant(day: date, clock: time, zone: tzinfo) -> datetime:
    """That time of that day there. A time that the clocks skip is refused; of one that they show twice, the first."""
    local = datetime.combine(day, clock, zone)
    back = local.astimezone(UTC).astimezone(zone)
    if back.replace(tzinfo=None) != local.replace(tzinfo=None):
        raise ValueError(f"On {write_date(day)} there is no {clock:%H:%M} in {zone}: the clocks skip it.")
    return local


def comes_twice(local: datetime) -> bool:
    """Whether the clocks show this time twice that night."""
    return local.utcoffset() != local.replace(fold=1).utcoffset()


def parse_cadence(text: str, first: date | None = None) -> str:
    """A cadence in its one spelling: "first Tuesday", "every 4 weeks". "monthly" means the first day's weekday."""
    words = text.strip().casefold().split()
    if words == ["monthly"] and first:
        return f"{ORDINALS[(first.day - 1) // 7]} {WEEKDAYS[first.weekday()]}"
    if len(words) == 3 and words[0] == "every" and words[2] in ("week", "weeks"):
        if re.fullmatch(r"[1-9]|1[0-2]", words[1]):
            return f"every {words[1]} weeks"
    elif len(words) == 2 and words[0] in ORDINALS:
        return f"{words[0]} {WEEKDAYS[_weekday(words[1])]}"
    choices = '"first Tuesday" (of the month), "last Friday" or "every 4 weeks"'
    raise ValueError(f"{text!r} is no cadence. Write {'monthly, ' if first else ''}{choices}.")


def step(day: date, cadence: str) -> date:
    """The day of the cadence that follows: so many weeks later, or in the next month."""
    word, rest = cadence.split()[:2]
    if word == "every":
        return day + timedelta(weeks=int(rest))
    year, month = divmod(day.year * 12 + day.month, 12)
    if word == "last":
        end = date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)
        return end - timedelta(days=(end.weekday() - WEEKDAYS.index(rest)) % 7)
    begin = date(year, month + 1, 1)
    return begin + timedelta(days=(WEEKDAYS.index(rest) - begin.weekday()) % 7 + 7 * ORDINALS.index(word))


def in_days(day: date, today: date) -> str:
    """How far away a day is: "today", "tomorrow", "in 6 days"."""
    days = (day - today).days
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}
    return near.get(days) or (f"in {days} days" if days > 0 else f"{-days} days ago")


def _weekday(word: str) -> int:
    """0 for "Monday" or "Mon"."""
    for number, name in enumerate(WEEKDAYS):
        if len(word) >= 3 and name.casefold().startswith(word.casefold()):
            return number
    raise ValueError(f"{word!r} is no weekday. Write it in English, such as Tuesday.")
