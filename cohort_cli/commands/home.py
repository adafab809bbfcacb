"""`cohort` alone: what to do next."""

from __future__ import annotations

import typer


def home() -> None:
    """Say the one next thing."""
    from cohort_cli import catalog, progress
    from cohort_cli.errors import NoWorkspace
    from cohort_cli.workspace import find_workspace

    try:
        space = find_workspace()
    except NoWorkspace as trouble:
        if "COHORT_WORKSPACE" in trouble.message:
            raise
        typer.echo("There is no workspace here. It will hold the code that you write.")
        typer.echo("next: cohort init my-llm      (or see what this is: cohort demo)")
        return
    projects = catalog.projects()
    started = [project for project in projects if space.has(project)]
    for project in started:
        due = progress.next_step(progress.of_project(space, project, lambda line: typer.echo(line, err=True)))
        if due is not None:
            counts = ", ".join(f"{count} {state}" for state, count in due.counts().items())
            typer.echo(f"{project.title}: the next step is '{due.title}' ({counts}).")
            typer.echo(f"next: cohort check {project.id} {due.id}")
            return
    others = progress.to_start(projects, started)
    if others:
        typer.echo("All that you have started is ok." if started else f"The workspace {space.root} is ready.")
        typer.echo(f"next: cohort start {others[0].id}")
    else:
        typer.echo("Every project is done, on exactly this code.")
        typer.echo("next: cohort status")
