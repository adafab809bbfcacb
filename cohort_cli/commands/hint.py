"""`cohort hint`: one rung at a time. There is no option to see all at once: asking three times is short enough."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def hint(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="project2, p2 or 2.")],
    step: Annotated[str, typer.Argument(metavar="STEP", help="A step, or a check of it.")],
    again: Annotated[bool, typer.Option("--again", help="Show the rungs that you have seen.")] = False,
) -> None:
    """Show the next rung of a step's ladder of hints: a question, then the idea, then nearly the code.

    $ cohort hint project2 mask
    The causal mask: rung 1 of 3

    Which positions may position 2 attend to? Draw the T x T table.

    next: cohort check project2 mask      (more: cohort hint project2 mask)
    """
    from cohort_cli.catalog import find_project
    from cohort_cli.errors import NoWorkspace
    from cohort_cli.prose import wrap_markdown
    from cohort_cli.workspace import find_workspace

    found = find_project(project)
    name = step if step in [known.id for known in found.steps] else found.find(step)[0].step
    rungs = read_rungs(found.hints_dir / f"{name}.md")
    try:
        path: Path | None = find_workspace().hints_path
    except NoWorkspace:
        path = None
        typer.echo("There is no workspace here, so nobody remembers which rungs you saw.", err=True)
    seen = _seen(path, found.id, name)
    last = min(max(seen, 1) if again else seen + 1, len(rungs))
    for number in range(1 if again else last, last + 1):
        typer.echo(f"{found.step(name).title}: rung {number} of {len(rungs)}\n")
        typer.echo(f"{wrap_markdown(rungs[number - 1])}\n")
    if path is not None and last > seen:
        _remember(path, found.id, name, last)
    if last == len(rungs):
        typer.echo("That is the whole ladder. If it is not enough, bring the question to the group.")
    more = f"      (more: cohort hint {found.id} {name})" if last < len(rungs) and path else ""
    typer.echo(f"next: cohort check {found.id} {name}{more}")


def read_rungs(path: Path) -> list[str]:
    """The texts under `## Rung 1`, `## Rung 2`, … Raises BrokenManifest when there are none."""
    from cohort_cli.errors import BrokenManifest
    from cohort_cli.manifest import read_text

    parts = f"\n{read_text(path)}".split("\n## Rung ")[1:]
    if not parts:
        raise BrokenManifest(f"{path} has no line '## Rung 1'.", "Install the kit again, or report it.")
    return [part.partition("\n")[2].strip("\n") for part in parts]


def _seen(path: Path | None, project: str, step: str) -> int:
    """The highest rung that was shown in this workspace. A damaged line costs one rung shown twice."""
    from cohort_cli import lines

    rungs = [0]
    for entry in lines.entries(path) if path is not None else ():
        if (entry.get("project"), entry.get("step")) == (project, step) and type(entry.get("rung")) is int:
            rungs.append(entry["rung"])
    return max(rungs)


def _remember(path: Path, project: str, step: str, rung: int) -> None:
    from cohort_cli import lines

    lines.append(path, {"log": "cohort.hints/1", "project": project, "step": step, "rung": rung})
