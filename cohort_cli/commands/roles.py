"""`cohort roles`: who does what at which meeting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.group import Group
    from cohort_cli.roles import Roles


def roles(
    seed: Annotated[str, typer.Option(help="Draw other lots, to look at them or to --keep them.")] = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Write the roles up to the next meeting into the file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Who presents, who stands by (and presents the next one), who prepares the game of
    finding faults (breaker), who writes down what was found (scribe), who watches the time (clock).

    Drawn by lot, the same for everybody: nobody presents twice before all volunteers did once.
    What stands in the group's file is kept, also a wish: presenter = "ada" in a [[meeting]].

    $ cohort roles
       presenter  backup  breaker  scribe  clock
    0  ada        lin     sam      max     eve
    ...
    next: cohort roles --keep
    """
    from cohort_cli import group_file, when
    from cohort_cli.group import JOBS, find_cohort
    from cohort_cli.roles import plan

    group = find_cohort()
    now = when.now()
    today = now.astimezone(group.zone).date()
    planned = plan(group, today, seed)
    following = group.next(now)
    settled = [number for number in planned if following is None or number <= following.number]
    if keep:
        settling = {number: {job: planned[number].get(job) for job in JOBS} for number in settled}
        group = group_file.change(group, settling)
    if as_json:
        found = {"schema": "cohort.roles/1", "group": group.name, "seed": seed or group.id}
        meetings = [
            {"number": number, "kept": sorted(_kept(group, number)), **jobs}
            for number, jobs in planned.items()
        ]
        typer.echo(json.dumps({**found, "meetings": meetings}, indent=1))
        return
    _draw(group, planned)
    _next(group, planned, settled, seed)


def _draw(group: Group, planned: dict[int, Roles]) -> None:
    from cohort_cli.group import JOBS

    rows = [JOBS, *(tuple(jobs.get(job, "-") for job in JOBS) for jobs in planned.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(JOBS))]
    for number, row in zip(("", *planned), rows, strict=True):
        cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        typer.echo(f"{number!s:<3}{cells}".rstrip())
    for meeting in group.meetings:
        if meeting.cancelled:
            typer.echo(f"{meeting.number}  cancelled")


def _kept(group: Group, number: int) -> dict[str, str]:
    meeting = group.meeting(number)
    return meeting.kept if meeting else {}


def _next(group: Group, planned: dict[int, Roles], settled: list[int], seed: str) -> None:
    if not any(member.volunteers for member in group.members):
        typer.echo("Nobody volunteers to present.")
        typer.echo("next: somebody writes volunteers = true beside their handle in the group's file")
    elif any(_kept(group, number) != planned[number] for number in settled):
        typer.echo(f"next: cohort roles {f'--seed {seed} ' if seed else ''}--keep")
    else:
        typer.echo("next: cohort post announcement")
