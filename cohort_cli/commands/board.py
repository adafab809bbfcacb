"""`cohort board`: where the group stands, check by check."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.sharing import Board, Row

SCHEMA = "cohort.board/1"
MOST = 10  # checks that --stuck names


def board(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Folders with members' files, or git remotes.")
    ],
    stuck: Annotated[
        bool, typer.Option("--stuck", help="Only the checks that people are blocked at, most people first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show where the group stands, from the files that `cohort share` wrote: counts, check by check.

    Names appear only for those who put theirs on their file. A file that cannot be used is named with the
    reason, and the others count.

    $ cohort board shared/ --stuck
    11 people, 2 of them named
    4 of 9 blocked  project2 scale  (step fused)
    2 of 9 blocked  project2 mask-values  (step mask)
    next: cohort explain project2 scale
    """
    from cohort_cli import sharing

    found = sharing.read(sources, lambda line: typer.echo(line, err=True))
    rows = sharing.stuck(found) if stuck else sharing.rows(found)
    if as_json:
        typer.echo(_json(found, rows))
        return
    named = sum(bool(share.handle) for share in found.shares)
    people = "1 person" if len(found.shares) == 1 else f"{len(found.shares)} people"
    typer.echo(f"{people}, {named} of them named")
    _draw(rows[:MOST] if stuck else rows, stuck)
    blocked = sharing.stuck(found)
    typer.echo(
        f"next: cohort explain {blocked[0].project} {blocked[0].check}"
        if blocked
        else "next: cohort schedule"
    )


def _draw(rows: list[Row], stuck: bool) -> None:
    step = ""
    for row in rows:
        if stuck:
            names = ", ".join(share.handle for share in row.blocked if share.handle)
            typer.echo(
                f"{len(row.blocked)} of {row.started} blocked  {row.project} {row.check}  (step {row.step})"
                + (f"  {names}" if names else "")
            )
            continue
        if (row.project, row.step) != step:
            step = (row.project, row.step)  # type: ignore[assignment]
            typer.echo(f"{row.project} {row.step}{'':<4}ok  blocked  open")
        typer.echo(f"  {row.check:<28}{row.ok:>4}{len(row.blocked):>9}{row.open:>6}")
    if stuck and not rows:
        typer.echo("Nobody is blocked.")


def _json(found: Board, rows: list[Row]) -> str:
    table = [
        {**row._asdict(), "blocked": len(row.blocked), "named": [s.handle for s in row.blocked if s.handle]}
        for row in rows
    ]
    people = {"people": len(found.shares), "refused": found.refused}
    return json.dumps({"schema": SCHEMA, **people, "checks": table}, indent=1)
