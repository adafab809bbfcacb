"""`cohort kit`: for those who write projects."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

HELP = """For authors: does a project keep its promise?

$ cohort kit verify project2
scaffold            23 todo · 30 wait
...
next: cohort kit transcript project2
"""

app = typer.Typer(help=HELP, no_args_is_help=True)


@app.command()
def verify(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="project2, p2 or 2.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check the checks: scaffold todo, reference and alternates ok, every known mistake refused under its own name.

    $ cohort kit verify project2
    scaffold            23 todo · 30 wait
    ...
    mistakes named      68 of 70
    next: cohort kit transcript project2
    """
    from cohort_cli.catalog import find_project
    from cohort_cli.checking.client import Judge
    from cohort_cli.checking.verify import verify as run

    found = find_project(project)
    with Judge() as judge:
        verification = run(found, judge, lambda line: typer.echo(line, err=as_json))
    if as_json:
        typer.echo(json.dumps(asdict(verification), indent=1))
    else:
        typer.echo("\n" + "\n".join(verification.figures()))
        for problem in verification.problems:
            typer.echo(f"PROBLEM  {problem}")
        typer.echo(
            f"next: cohort kit transcript {found.id}"
            if not verification.problems
            else f"next: repair these, then cohort kit verify {found.id}"
        )
    raise typer.Exit(1 if verification.problems else 0)


@app.command()
def transcript(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="project2, p2 or 2.")],
    write: Annotated[bool, typer.Option("--write", help="Write them into the guide.")] = False,
) -> None:
    """Make the transcripts in a guide anew: each shows the check that refuses a known mistake.

    $ cohort kit transcript project2
    guide.md: scaled-by-d_model is up to date
    next: cohort site build
    """
    from cohort_cli.catalog import find_project
    from cohort_cli.checking.transcript import refresh

    found = find_project(project)
    outdated = refresh(found, write, typer.echo)
    typer.echo(
        "next: cohort site build"
        if not outdated or write
        else f"next: cohort kit transcript {found.id} --write"
    )
    raise typer.Exit(1 if outdated and not write else 0)
