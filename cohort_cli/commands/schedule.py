"""`cohort schedule`: when the group meets, as a table and for calendars; and how a meeting is moved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cohort_cli.group import Group, Meeting

HELP = """The seven meetings: when, where, and who presents.

--ics writes them for calendars. Lay that file where all can subscribe to it, or send it
again: a meeting that was moved then moves in everybody's calendar.

$ cohort schedule
Tuesday Transformers, times of Europe/Berlin
  0  Introduction                   Tue  2026-12-01  19:00  CET   ada
  1  Tokenization and embeddings    Tue  2027-01-05  19:00  CET   lin
...
next: cohort post announcement
"""
Number = Annotated[int, typer.Argument(metavar="N", help="The meeting's number, 0 to 6.")]

app = typer.Typer(help=HELP, invoke_without_command=True)


@app.callback()
def schedule(
    context: typer.Context,
    ics: Annotated[Path | None, typer.Option("--ics", metavar="FILE", help="Write a calendar file.")] = None,
) -> None:
    if context.invoked_subcommand is not None:
        if ics is not None:
            from cohort_cli.errors import UsageError

            raise UsageError("--ics goes with no other verb.", "Then run: cohort schedule --ics FILE")
        return
    from cohort_cli.group import find_cohort

    group = find_cohort()
    if ics is None:
        _table(group)
    else:
        _write(group, ics)


@app.command()
def move(
    number: Number,
    date: Annotated[list[str], typer.Argument(metavar="DATE", help="2026-12-08 or Tuesday 2026-12-08.")],
    time: Annotated[str | None, typer.Option(help="When it begins, if not as before: 18:30.")] = None,
) -> None:
    """Move one meeting to another day.

    $ cohort schedule move 3 Tuesday 2027-03-09
    meeting 3: Tuesday 2027-03-02 19:00 -> Tuesday 2027-03-09 19:00
    next: cohort schedule --ics FILE      (so that it moves in calendars too)
    """
    from cohort_cli import group_file, when
    from cohort_cli.errors import UsageError

    group, meeting = _find(number)
    try:
        day = when.parse_date(" ".join(date))
        clock = when.parse_time(time) if time is not None else meeting.clock
    except ValueError as wrong:
        raise UsageError(f"{wrong} Nothing was changed.", "cohort schedule move --help") from None
    if meeting.cancelled:
        raise UsageError(
            f"Meeting {number} is cancelled. Nothing was changed.",
            f"Hold it, and all later ones, one date later: cohort schedule shift {number}",
        )
    if (day, clock) == (meeting.day, meeting.clock):
        raise UsageError(f"Meeting {number} is then already.", "Look at the dates: cohort schedule")
    _change(group, {number: group_file.moved(meeting, day, clock)})


@app.command()
def shift(number: Number) -> None:
    """Hold a meeting, and all later ones, one date later: as after a cancelled one.

    Each takes the date and time of the one that follows it. The last takes the next of the cadence.

    $ cohort schedule shift 5
    meeting 5: Tuesday 2027-05-04 19:00 -> Tuesday 2027-06-01 19:00
    meeting 6: Tuesday 2027-06-01 19:00 -> Tuesday 2027-07-06 19:00
    next: cohort schedule --ics FILE      (so that it moves in calendars too)
    """
    from cohort_cli import group_file

    group, _ = _find(number)
    _change(group, group_file.shifted(group, number))


@app.command()
def cancel(number: Number) -> None:
    """Cancel a meeting. It stays in the file and is crossed out in calendars.

    $ cohort schedule cancel 3
    meeting 3: Tuesday 2027-03-02 19:00 -> cancelled
    next: cohort schedule shift 3      (holds it, and all later ones, later)
    """
    from cohort_cli.errors import UsageError

    group, meeting = _find(number)
    if meeting.cancelled:
        raise UsageError(f"Meeting {number} is cancelled already.", "Look at the dates: cohort schedule")
    _change(group, {number: {"cancelled": True, "moved": meeting.moved + 1}})


def _find(number: int) -> tuple[Group, Meeting]:
    from cohort_cli.errors import UsageError
    from cohort_cli.group import find_cohort

    group = find_cohort()
    meeting = group.meeting(number)
    if meeting is None:
        known = ", ".join(str(meeting.number) for meeting in group.meetings)
        raise UsageError(f"There is no meeting {number}.", f"Known here: {known}.")
    return group, meeting


def _change(group: Group, changes: Mapping[int, Mapping[str, Any]]) -> None:
    """Change the file and say what was and what is."""
    from cohort_cli import group_file

    changed = group_file.change(group, changes)
    for note in set(changed.notes) - set(group.notes):
        typer.echo(note, err=True)
    for old, new in zip(group.meetings, changed.meetings, strict=True):
        if old != new:
            typer.echo(f"meeting {old.number}: {_when(old)} -> {_when(new)}")
    if list(changes) == [number for number in changes if changes[number].get("cancelled")]:
        typer.echo(f"next: cohort schedule shift {min(changes)}      (holds it, and all later ones, later)")
    else:
        typer.echo("next: cohort schedule --ics FILE      (so that it moves in calendars too)")


def _when(meeting: Meeting) -> str:
    from cohort_cli.when import write_date

    return "cancelled" if meeting.cancelled else f"{write_date(meeting.day)} {meeting.clock:%H:%M}"


def _table(group: Group) -> None:
    from cohort_cli import roles, when
    from cohort_cli.prose import clean, wrap

    now = when.now()
    today = now.astimezone(group.zone).date()
    plan = roles.plan(group, today)
    typer.echo(clean(f"{group.name}, times of {group.zone}"))
    usual = ", ".join(text for text in (group.place, group.link) if text)
    if usual:
        typer.echo("\n".join(wrap(clean(usual), "", "  ")))
    for meeting in group.meetings:
        weekday = when.WEEKDAYS[meeting.day.weekday()]
        presenter = (
            "cancelled" if meeting.cancelled else plan[meeting.number].get("presenter", "(nobody yet)")
        )
        row = f"  {meeting.number}  {meeting.title:<29}  {weekday[:3]}  {meeting.day}  {meeting.clock:%H:%M}"
        typer.echo(f"{row}  {meeting.starts.tzname() or '':<4}  {presenter}")
        own = ", ".join(text for text in (meeting.place, meeting.link) if text)
        if own:
            typer.echo("\n".join(wrap(clean(own), "     at ", "        ")))
    for note in group.notes:
        typer.echo(note, err=True)
    following = group.next(now)
    if following is None:
        typer.echo("All meetings have been.\nnext: cohort roles")
    else:
        typer.echo(f"The next is meeting {following.number}, {when.in_days(following.day, today)}.")
        typer.echo("next: cohort post announcement")


def _write(group: Group, path: Path) -> None:
    from cohort_cli import group_file, ics, when

    earlier = ics.read_earlier(path, group) if path.exists() else {}
    made = ics.make(group, when.now(), earlier)
    if made.raised:  # the date was changed by hand; other calendar files must know as well
        group_file.change(group, {number: {"moved": sequence} for number, sequence in made.raised.items()})
        names = ", ".join(map(str, made.raised))
        typer.echo(f"Changed by hand: meeting {names}. {group.path.name} counts that as moved now.", err=True)
    for name in sorted(set(earlier) - {ics.uid(group, meeting) for meeting in group.meetings}):
        number = name.rpartition("-")[2]
        typer.echo(
            f"Meeting {number} is in {path} and no more in {group.path.name}: calendars go on showing it. "
            "To cross it out, keep it, with cancelled = true.",
            err=True,
        )
    group_file.replace(path.absolute(), made.content)
    typer.echo(f"wrote {path}: {len(group.meetings)} meetings")
    typer.echo("next: lay it where all can subscribe to it, or send it to everybody")
