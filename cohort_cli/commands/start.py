"""`cohort start`: copy a project's scaffold into the workspace."""

from __future__ import annotations

from typing import Annotated

import typer


def start(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="project2, p2 or 2.")],
) -> None:
    """Copy a project's files into your workspace. A file that you already have stays as it is.

    $ cohort start project2
    project2_transformer_block: attention.py, block.py, layers.py, model.py, ...
    next: cohort check project2 attention
    """
    from cohort_cli.catalog import find_project
    from cohort_cli.planting import start as start_project
    from cohort_cli.workspace import find_workspace

    found = find_project(project)
    space = find_workspace()
    copied = start_project(space, found)
    if copied.new:
        typer.echo(f"{found.folder.name}: {', '.join(copied.new)}")
    if copied.kept:
        typer.echo(f"kept as they were: {', '.join(copied.kept)}")
    typer.echo(f"next: cohort check {found.id} {found.steps[0].id}")
