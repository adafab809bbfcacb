"""`cohort explain`: what a check tests, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.acceptance import CheckInfo
    from cohort_cli.catalog import Project


def explain(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="project2, p2 or 2.")],
    check: Annotated[str, typer.Argument(metavar="CHECK", help="A check; or a step, to list its checks.")],
    source: Annotated[bool, typer.Option("--source", help="Show the test itself.")] = False,
) -> None:
    """Say what a check tests, why, what it needs, and which known mistakes it refuses.

    $ cohort explain project2 mask
    mask: The causal mask, in attention.py, about 45 minutes
    ...
    next: cohort explain project2 mask-values
    """
    from cohort_cli.catalog import find_project

    found = find_project(project)
    infos = found.find(check)
    if any(step.id == check for step in found.steps):
        _step(found, check, infos)
    else:
        _check(found, infos[0], source)


def _step(project: Project, id: str, infos: list[CheckInfo]) -> None:
    from cohort_cli.prose import wrap

    step = project.step(id)
    _echo(wrap(f"{step.id}: {step.title}, in {step.file}, about {step.minutes} minutes"))
    _echo(wrap(f"Reading: {step.reading}", rest="  "))
    typer.echo()
    for info in infos:
        _echo(wrap(info.title, f"  {info.id:<28} ", " " * 31))
    following = f"explain {project.id} {infos[0].id}" if infos else f"hint {project.id} {id}"
    typer.echo(f"\nnext: cohort {following}")


def _check(project: Project, info: CheckInfo, source: bool) -> None:
    from cohort_cli.prose import wrap, wrap_markdown

    step = project.step(info.step)
    typer.echo(f"{info.id}: {info.title}\n\n{wrap_markdown(info.doc)}\n")
    refused = [mistake.name for mistake in project.mistakes() if mistake.check == info.id]
    _echo(wrap(f"{step.id}, {step.title}", "step     ", " " * 9))
    _echo(wrap(step.reading, "reading  ", " " * 9))
    _echo(wrap(", ".join(info.needs) or "no other check", "needs    ", " " * 9))
    _echo(wrap(", ".join(refused) or "no known mistake is listed", "refuses  ", " " * 9))
    if source:
        typer.echo(f"\n{info.source}")
    typer.echo(f"next: cohort check {project.id} {info.id}")


def _echo(lines: list[str]) -> None:
    typer.echo("\n".join(lines))
