"""`cohort meeting`: the run sheet of an evening, its prompts one at a time, and what is wrong with its pages."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.meetings import Block, Meeting

CLOCK = "%H:%M"


def meeting(
    number: Annotated[
        str | None, typer.Argument(metavar="[MEETING]", help="Its number, 0 to 6. Without one: list them.")
    ] = None,
    start: Annotated[
        str,
        typer.Option(metavar="HH:MM", help="When it begins; default: as the group's file says, else now."),
    ] = "",
    prompts: Annotated[
        bool, typer.Option("--prompts", help="Show the prompts one at a time; Enter shows the next.")
    ] = False,
    clock: Annotated[
        bool, typer.Option("--clock", help="Count down each part, until Ctrl-C or the end.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Look for mistakes in the pages: minutes, fields, links, commands."),
    ] = False,
) -> None:
    """Lead an evening from the terminal: the run sheet with clock times, the prompts, a countdown.

    --check looks at one meeting, or at all of them, and exits with 1 if something is wrong.

    $ cohort meeting 2 --start 19:00
    Meeting 2: Attention
    19:00   8 min  Check-in (everybody)
    19:08  22 min  The derivation (presenter)
    …
    next: cohort meeting 2 --prompts
    """
    from cohort_cli.meetings import find_meeting, meetings

    chosen = [find_meeting(number)] if number is not None else meetings()
    if check:
        raise typer.Exit(_check(chosen))
    if number is None:
        for one in chosen:
            typer.echo(f"{one.guide.number}  {one.guide.title}")
        typer.echo(f"next: cohort meeting {chosen[0].guide.number}")
        return
    (one,) = chosen
    if prompts:
        _prompts(one)
        return
    begin = _time(start) if start else _now() if clock else _planned(one.guide.number)
    day = "" if start else f", {begin:%A %Y-%m-%d}"
    typer.echo(f"Meeting {one.guide.number}: {one.guide.title}{day}")
    if clock:
        _clock(one.blocks(), begin)
    else:
        _sheet(one.blocks(), begin)
    typer.echo(f"next: cohort meeting {one.guide.number} --prompts")


def _time(start: str) -> datetime:
    from cohort_cli.errors import UsageError

    try:
        found = datetime.strptime(start, CLOCK)
    except ValueError:
        raise UsageError(f"--start {start} is no time of day.", "--start 19:00") from None
    return _now().replace(hour=found.hour, minute=found.minute)


def _now() -> datetime:
    return datetime.now().astimezone().replace(second=0, microsecond=0)


def _planned(number: int) -> datetime:
    """When the group meets for it, where there is a group; else this minute."""
    from cohort_cli.errors import NoCohort
    from cohort_cli.group import find_cohort

    try:
        found = find_cohort().meeting(number)
    except NoCohort:
        found = None
    return found.starts if found else _now()


def _sheet(blocks: list[Block], begin: datetime) -> None:
    from cohort_cli.prose import wrap

    for block in blocks:
        typer.echo(f"{begin:{CLOCK}} {block.minutes:>3} min  {block.title} ({block.who})")
        typer.echo("\n".join(wrap(block.do, " " * 15, " " * 15)))
        begin += timedelta(minutes=block.minutes)
    typer.echo(f"{begin:{CLOCK}}          The end")


def _clock(blocks: list[Block], begin: datetime) -> None:
    """A line that counts down on a terminal; elsewhere one line for each part when it begins."""
    draws = sys.stdout.isatty()
    for block in blocks:
        end = begin + timedelta(minutes=block.minutes)
        typer.echo(f"{begin:{CLOCK}} {block.minutes:>3} min  {block.title} ({block.who})")
        while draws and (left := (end - datetime.now().astimezone()).total_seconds()) > 0:
            typer.echo(f"\r  {int(left) // 60:>3}:{int(left) % 60:02} left ", nl=False)
            time.sleep(min(1.0, left))
        if draws:
            typer.echo("\r" + " " * 20 + "\r", nl=False)
        begin = end


def _prompts(meeting: Meeting) -> None:
    from cohort_cli.prose import wrap

    found = meeting.prompts()
    for number, prompt in enumerate(found, 1):
        typer.echo("\n".join(wrap(prompt.ask, f"{number} of {len(found)}  ", " " * 8)))
        typer.echo(f"        {prompt.kind}, {prompt.minutes} minutes, {prompt.format}")
        typer.echo(f"        try it: {prompt.try_it}")
        if _enter("for what a good answer touches"):
            for point in prompt.touches:
                typer.echo("\n".join(wrap(point, "        - ", "          ")))
            typer.echo("\n".join(wrap(prompt.silence, "        nobody speaks: ", " " * 10)))
            typer.echo("\n".join(wrap(prompt.misconception, "        listen for: ", " " * 10)))
            if number < len(found):
                _enter("for the next prompt")
        typer.echo("")
    typer.echo(f"next: cohort present {meeting.guide.number}")


def _enter(what: str) -> bool:
    """Wait for Enter at a terminal. Where nobody can press it, everything is shown at once."""
    if sys.stdin.isatty():
        typer.echo(f"        (Enter {what})", nl=False)
        sys.stdout.flush()
        return sys.stdin.readline() != ""
    return True


def _check(chosen: list[Meeting]) -> int:
    """0 if nothing is wrong."""
    from cohort_cli import app
    from cohort_cli.meeting_lint import problems

    program = typer.main.get_command(app.build())
    wrong = 0
    for one in chosen:
        found = problems(one, program)
        wrong += len(found)
        for problem in found:
            typer.echo(problem)
        if not found:
            total = sum(block.minutes for block in one.blocks())
            typer.echo(f"ok  {one.name}: {total} minutes, {len(one.prompts())} prompts")
    typer.echo("next: repair these" if wrong else "next: cohort site build")
    return 1 if wrong else 0
