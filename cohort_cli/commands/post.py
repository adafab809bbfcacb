"""`cohort post`: ready texts for the group's channel. They are printed; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import date

    from cohort_cli.group import Group, Meeting
    from cohort_cli.roles import Roles

HELP = """Texts for the group's channel, to copy or to change. Nothing is sent.

$ cohort post nudge
Meeting 3 (LLM architecture and catch-up) is in 6 days: Tuesday 2027-03-02
at 19:00 (Europe/Berlin), and ada presents.
...
"""

app = typer.Typer(help=HELP, no_args_is_help=True)


@app.command()
def announcement() -> None:
    """The next meeting: when, where, and who does what.

    $ cohort post announcement
    Tuesday Transformers, meeting 3: LLM architecture and catch-up
    Tuesday 2027-03-02, 19:00 to 21:00 (Europe/Berlin), in 6 days
    ...
    """
    from cohort_cli.posts import announcement

    _say(announcement)


@app.command()
def nudge() -> None:
    """The weekly one: how long until the next meeting, and what helps until then.

    $ cohort post nudge
    Meeting 3 (LLM architecture and catch-up) is in 6 days: Tuesday 2027-03-02
    at 19:00 (Europe/Berlin), and ada presents.
    ...
    """
    from cohort_cli.posts import nudge

    _say(nudge)


@app.command()
def stuck(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="project2, p2 or 2.")],
    check: Annotated[str, typer.Argument(metavar="CHECK", help="The check that you are stuck at.")],
) -> None:
    """A question from the newest verdict on a check: command, expected, got. No code, no paths.

    $ cohort post stuck project2 scale
    I am stuck at project2, scale: scores are divided by sqrt(head_dim)

    command   cohort check project2 scale
    verdict   fail
    ...
    """
    from cohort_cli.catalog import find_project
    from cohort_cli.checking import log
    from cohort_cli.checking.states import State
    from cohort_cli.errors import NothingRan
    from cohort_cli.posts import stuck
    from cohort_cli.prose import clean
    from cohort_cli.workspace import find_workspace

    found = find_project(project)
    info = found.check(check)
    space = find_workspace()
    newest = log.newest_record(space.log_path, found.id, info.id)
    again = f"cohort check {found.id} {info.id}"
    if newest is None:
        raise NothingRan(f"{info.id} has never been checked here.", f"Run it first: {again}")
    if newest["state"] == State.OK and not newest.get("rule"):
        raise NothingRan(f"The newest verdict on {info.id} is ok.", f"If it is not ok now, run: {again}")
    typer.echo(clean(stuck(found.id, info.title, newest)))


def _say(text: Callable[[Group, Meeting, Roles, date], str]) -> None:
    """Print a text on the next meeting."""
    from cohort_cli import when
    from cohort_cli.errors import NothingRan
    from cohort_cli.group import find_cohort
    from cohort_cli.prose import clean
    from cohort_cli.roles import plan

    group = find_cohort()
    now = when.now()
    meeting = group.next(now)
    if meeting is None:
        raise NothingRan("There is no meeting ahead.", "Look at the dates: cohort schedule")
    today = now.astimezone(group.zone).date()
    typer.echo(clean(text(group, meeting, plan(group, today)[meeting.number], today)))
