"""`cohort new`: the group's file, after a few questions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

Answer = TypeVar("Answer")


def new(
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help="The folder to make.")] = "our-group",
    name: Annotated[str | None, typer.Option(help="The group's name.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Such as Europe/Berlin.")] = None,
    first: Annotated[str | None, typer.Option(help='First day: "Tuesday 2026-12-01".')] = None,
    time: Annotated[str | None, typer.Option(help="When a meeting begins: 19:00.")] = None,
    cadence: Annotated[str | None, typer.Option(help='"monthly" or "every 4 weeks".')] = None,
    place: Annotated[str | None, typer.Option(help='A place; "" for none.')] = None,
    link: Annotated[str | None, typer.Option(help='A link to meet at; "" for none.')] = None,
    members: Annotated[str | None, typer.Option(help='Handles: "ada, lin, sam".')] = None,
) -> None:
    """Make the group's calendar, in a folder that the group shares. Asks what no option answers.

    Enter takes what stands in brackets. "monthly" is the same weekday of each month, as the first Tuesday.
    Nothing that exists is overwritten, and Ctrl-C leaves nothing behind.

    $ cohort new our-group
    Name of the group: Tuesday Transformers
    Time zone [Europe/Berlin]:
    First meeting, such as "Tuesday 2026-12-01": Tuesday 2026-12-01
    ...
    made our-group/cohort.toml: 7 meetings, 9 members
    next: cd our-group && cohort schedule
    """
    from cohort_cli import group_file, publishing, when

    path = Path(folder.strip() or ".")
    group_file.check_place(path)
    zone = when.machine_zone()
    named = _answer(name, "--name", "Name of the group", _some)
    zone = _answer(time_zone, "--time-zone", "Time zone, such as Europe/Berlin", _zone, zone)
    day = _answer(first, "--first", 'First meeting, such as "Tuesday 2026-12-01"', when.parse_date)
    clock = _answer(time, "--time", "It begins at", when.parse_time, "19:00")
    steps = _answer(
        cadence,
        "--cadence",
        'Cadence, "monthly" or "every 4 weeks"',
        lambda text: when.parse_cadence(text, day),
        "monthly",
    )
    where = _answer(place, "--place", "Place (Enter for none)", str.strip, "")
    at = _answer(link, "--link", "Link (Enter for none)", _link, "")
    handles = _answer(members, "--members", "Handles of all members, with commas", _handles)
    made = group_file.create(path, group_file.Answers(named, zone, day, clock, steps, where, at, handles))
    for note in made.notes:
        typer.echo(note, err=True)
    count = len(made.members)
    typer.echo(
        f"made {path / made.path.name}: {len(made.meetings)} meetings, {count} member{'s' * (count != 1)}"
    )
    if publishing.write_workflow(made.path.parent):
        note = f"made {path / publishing.FILE}: publishes the group's site, once you fill in its KIT lines"
        typer.echo(note, err=True)
    there = f'"{path}"' if " " in str(path) else path
    go = "" if path.resolve() == Path.cwd() else f"cd {there} && "
    typer.echo(f"next: {go}cohort schedule")


def _answer(
    given: str | None,
    option: str,
    question: str,
    understand: Callable[[str], Answer],
    proposal: str | None = None,
) -> Answer:
    """The option's value or the answer to a question. At a terminal, a wrong answer is asked for again."""
    from cohort_cli.errors import UsageError

    while True:
        text = given if given is not None else _ask(question, option, proposal)
        try:
            return understand(text)
        except ValueError as wrong:
            if given is not None or not sys.stdin.isatty():
                raise UsageError(str(wrong), f"Correct {option}. Nothing was written.") from None
            typer.echo(str(wrong))


def _ask(question: str, option: str, proposal: str | None) -> str:
    """A line from the terminal, or from a file or pipe."""
    from cohort_cli.errors import UsageError

    typer.echo(question + (f" [{proposal}]" if proposal else "") + ": ", nl=False)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line.endswith("\n") or not sys.stdin.isatty():
        typer.echo(line.rstrip("\n"))  # what was typed at a terminal is there already
    answer = line.strip() or proposal
    if not line and (answer is None or sys.stdin.isatty()):  # Ctrl-D at a terminal takes no proposal
        raise UsageError(f"There is no answer to: {question}", f"Say it with {option}. Nothing was written.")
    return answer or ""


def _some(text: str) -> str:
    if not text.strip():
        raise ValueError("The group needs a name.")
    return text.strip()


def _zone(text: str) -> str:
    from cohort_cli import when

    when.parse_zone(text.strip())
    return text.strip()


def _link(text: str) -> str:
    from cohort_cli.group import check_lines

    check_lines({"link": text.strip()})
    return text.strip()


def _handles(text: str) -> tuple[str, ...]:
    from cohort_cli.group import Member, check_handles

    handles = tuple(word.removeprefix("@") for word in text.replace(",", " ").split())
    if not handles:
        raise ValueError("A group needs members. One is enough to begin with.")
    check_handles([Member(handle) for handle in handles])
    return handles
