"""Days, times, zones and cadences: what is understood, and what is refused in which words."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort_cli import when
from cohort_cli.errors import UsageError

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 1))
CADENCES = [
    *(f"{ordinal} {weekday}" for ordinal in when.ORDINALS for weekday in when.WEEKDAYS),
    *(f"every {weeks} weeks" for weeks in range(1, 13)),
]


@given(DAYS)
def test_a_day_is_read_as_it_is_written(day: date) -> None:
    assert when.parse_date(when.write_date(day)) == day
    assert when.parse_date(f" {day} ") == day
    assert when.write_date(day) == f"{day:%A} {day}", "the tests run with English names"


@given(DAYS, st.sampled_from(when.WEEKDAYS))
def test_a_weekday_that_contradicts_the_date_is_refused(day: date, weekday: str) -> None:
    if weekday == f"{day:%A}":
        assert when.parse_date(f"{weekday[:3].lower()} {day}") == day
        return
    with pytest.raises(ValueError, match=f"{day} is a {day:%A}, not a {weekday}"):
        when.parse_date(f"{weekday} {day}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1.12.2026", "is no date"),
        ("", "is no date"),
        ("Tuesday 2026-12-01 19:00", "is no date"),
        ("2027-02-29", "the calendar does not have"),
        ("Dienstag 2026-12-01", "'Dienstag' is no weekday. Write it in English"),
        ("T 2026-12-01", "no weekday"),
    ],
)
def test_what_is_no_date(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        when.parse_date(text)


@pytest.mark.parametrize(("text", "clock"), [("19:00", time(19)), ("9:05", time(9, 5)), ("00:00", time(0))])
def test_times_of_day(text: str, clock: time) -> None:
    assert when.parse_time(text) == clock


@pytest.mark.parametrize("text", ["24:00", "7pm", "19", "19:60", "19.00", "-1:00", ""])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="is no time of day"):
        when.parse_time(text)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Europe/Berln", "Did you mean Europe/Berlin"),
        ("CET", "Write a place"),
        ("EST", "Write a place"),  # zoneinfo knows it, and that it has no summer
        ("", "Write a place"),
        ("Europe", "no time zone"),
        ("Europe/", "no time zone"),
        ("/etc/passwd", "no time zone"),
        ("../../etc/passwd", "no time zone"),
        ("A/" * 3000, "no time zone"),
        ("x/\0", "no time zone"),
    ],
)
def test_what_is_no_time_zone(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        when.parse_zone(name)


def test_the_machines_zone_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Asia/Kolkata")
    assert when.machine_zone() == "Asia/Kolkata"
    monkeypatch.setenv("TZ", "CET-1CEST")
    assert when.machine_zone() in ("", "UTC") or "/" in when.machine_zone()


def test_a_time_that_the_clocks_skip_is_refused() -> None:
    with pytest.raises(ValueError, match="On Sunday 2027-03-28 there is no 02:30 in Europe/Berlin"):
        when.instant(date(2027, 3, 28), time(2, 30), BERLIN)
    assert when.instant(date(2027, 3, 28), time(3, 0), BERLIN).astimezone(UTC).hour == 1


def test_of_a_time_that_comes_twice_the_first_is_meant() -> None:
    local = when.instant(date(2027, 10, 31), time(2, 30), BERLIN)
    assert local.astimezone(UTC) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert when.comes_twice(local)
    assert not when.comes_twice(when.instant(date(2027, 10, 31), time(3, 0), BERLIN))


# --- cadences -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cadence", CADENCES)
@pytest.mark.parametrize("first", [1, 11, 28])
def test_a_step_of_a_cadence_in_every_month(cadence: str, first: int) -> None:
    for month in range(24):
        assert_a_step(date(2027 + month // 12, month % 12 + 1, first), cadence)


@given(DAYS, st.sampled_from(CADENCES))
def test_a_step_of_a_cadence(day: date, cadence: str) -> None:
    assert_a_step(day, cadence)


def assert_a_step(day: date, cadence: str) -> None:
    after = when.step(day, cadence)
    assert when.parse_cadence(cadence.upper()) == cadence
    word, rest = cadence.split()[:2]
    if word == "every":
        assert after - day == timedelta(weeks=int(rest))
        return
    assert f"{after:%A}" == rest
    assert (after.year * 12 + after.month) - (day.year * 12 + day.month) == 1, "in the next month"
    if word == "last":
        assert (after + timedelta(days=7)).month != after.month
    else:
        assert (after.day - 1) // 7 == when.ORDINALS.index(word)


@given(DAYS)
def test_monthly_goes_on_from_the_first_day(first: date) -> None:
    cadence = when.parse_cadence("monthly", first)
    assert f"{first:%A}" in cadence
    months = [first]
    for _ in range(6):
        months.append(when.step(months[-1], cadence))
    assert {f"{day:%A}" for day in months} == {f"{first:%A}"}
    if first.day <= 28:
        assert {(day.day - 1) // 7 for day in months} == {(first.day - 1) // 7}
    else:
        assert cadence.startswith("last")


@pytest.mark.parametrize(
    "text",
    ["monthly", "weekly", "every 0 weeks", "every 13 weeks", "every 4 days", "fifth Friday", "first", ""],
)
def test_what_is_no_cadence(text: str) -> None:
    with pytest.raises(ValueError, match="is no cadence"):
        when.parse_cadence(text)
    with pytest.raises(ValueError, match="weekday"):
        when.parse_cadence("first Dienstag")


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "today"),
        (1, "tomorrow"),
        (2, "in 2 days"),
        (6, "in 6 days"),
        (-1, "yesterday"),
        (-3, "3 days ago"),
    ],
)
def test_how_far_away(days: int, words: str) -> None:
    today = date(2026, 12, 1)
    assert when.in_days(today + timedelta(days=days), today) == words


def test_now_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COHORT_NOW", raising=False)
    assert abs(when.now() - datetime.now(UTC)) < timedelta(minutes=1)
    monkeypatch.setenv("COHORT_NOW", "2026-12-01T00:30+01:00")
    assert when.now() == datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    monkeypatch.setenv("COHORT_NOW", "today")
    with pytest.raises(UsageError, match="COHORT_NOW is 'today'"):
        when.now()


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-28", "1999-12-31"])
def test_a_year_that_is_none_of_a_groups_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no year of a group's"):
        when.parse_date(text)
