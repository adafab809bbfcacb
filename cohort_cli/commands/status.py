"""`cohort status`: where you are."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show each step of each project that you have started. `stale`: the file changed since its last check.

    Nothing runs: this reads the log of your checks and compares it with your files as they are now.

    $ cohort status
    project2  Attention and the transformer block
      attention    11 ok
      mask         1 ok, 5 stale
    next: cohort check project2 mask
    """
    from cohort_cli import catalog, progress
    from cohort_cli.workspace import find_workspace

    space = find_workspace()
    projects = catalog.projects()
    started = [project for project in projects if space.has(project)]
    reached = {
        project.id: progress.of_project(space, project, lambda line: typer.echo(line, err=True))
        for project in started
    }
    if as_json:
        typer.echo(json.dumps({"schema": "cohort.status/1", "projects": _as_json(reached)}, indent=1))
        return
    following = ""
    for project in started:
        typer.echo(f"{project.id}  {project.title}")
        steps = reached[project.id]
        column = max(len(step.id) for step in steps)
        for step in steps:
            counts = ", ".join(f"{count} {state}" for state, count in step.counts().items()) or "no checks"
            broken = step.broken_rules
            rules = f", {broken} broken rule{'s' * (broken != 1)}" if broken else ""
            typer.echo(f"  {step.id:<{column}}  {counts}{rules}")
        due = progress.next_step(steps)
        following = following or (f"cohort check {project.id} {due.id}" if due else "")
    others = [project.id for project in progress.to_start(projects, started)]
    if not started:
        typer.echo("No project is started.")
    if not following:
        following = f"cohort start {others[0]}" if others else "nothing is left to do; well done"
    typer.echo(f"next: {following}")


def _as_json(reached: dict[str, list[Any]]) -> dict[str, Any]:
    """project -> step -> {"checks": {check: state}, "broken_rules": count}."""
    return {
        id: {step.id: {"checks": step.states, "broken_rules": step.broken_rules} for step in steps}
        for id, steps in reached.items()
    }
