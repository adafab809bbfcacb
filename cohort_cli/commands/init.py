"""`cohort init`: a workspace for one member."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(name: Annotated[str, typer.Argument(metavar="DIR", help="The folder to make.")]) -> None:
    """Make a workspace: a git repository of your own, with no remote. Nothing that exists is overwritten.

    $ cohort init my-llm
    made my-llm: .editorconfig, .gitignore, .vscode/extensions.json,
      .vscode/settings.json, AGENTS.md, README.md, cohort.toml
    next: cd my-llm && cohort start project0
    """
    from cohort_cli import catalog, planting
    from cohort_cli.errors import UsageError
    from cohort_cli.prose import wrap

    if not name.strip():
        raise UsageError("The folder needs a name.", "Choose one: cohort init my-llm")
    folder = Path(name)
    created = planting.create(folder)
    if created.new:
        typer.echo("\n".join(wrap(", ".join(sorted(created.new)), f"made {folder}: ", "  ")))
    if created.kept:
        typer.echo("\n".join(wrap(", ".join(sorted(created.kept)), "kept as it was: ", "  ")))
    for note in created.notes:
        typer.echo(note, err=True)
    there = f'"{folder}"' if " " in str(folder) else folder
    go = "" if folder.resolve() == Path.cwd() else f"cd {there} && "
    typer.echo(f"next: {go}cohort start {catalog.projects()[0].id}")
