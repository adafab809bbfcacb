"""`cohort lab`: the cells of a meeting, run one section at a time, or as a notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def lab(
    meeting: Annotated[str, typer.Argument(metavar="MEETING", help="Its number, 0 to 6.")],
    section: Annotated[
        str | None, typer.Argument(metavar="[SECTION]", help="Without one: list them.")
    ] = None,
    notebook: Annotated[
        Path | None,
        typer.Option(metavar="FILE.ipynb", help="Write the lab as a notebook, to open and change."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a notebook that is there.")] = False,
) -> None:
    """Run one section of a meeting's lab, or write the lab as a notebook. Drawings become files in ./figures.

    A section needs no other one. It runs for a few seconds, on the CPU, and downloads nothing.

    $ cohort lab 2
    scores   Why divide by the root?
    …
    next: cohort lab 2 scores
    """
    from cohort_cli.labs import FIGURES, code_of, read_cells, sections
    from cohort_cli.meetings import find_meeting

    found = find_meeting(meeting)
    number = found.guide.number
    if notebook is not None:
        _write(found.lab, notebook, force)
        typer.echo(f"wrote {notebook}\nnext: open it in VS Code, or with: jupyter lab {notebook}")
        return
    if section is None:
        known = sections(read_cells(found.lab))
        width = max(map(len, known))
        for name, title in known.items():
            typer.echo(f"{name:<{width}}   {title}")
        typer.echo(f"next: cohort lab {number} {next(iter(known))}")
        return
    code = code_of(found.lab, section)
    figures = Path("figures")
    if "show(" in code:
        figures.mkdir(exist_ok=True)
    runner = "import sys; exec(compile(sys.stdin.read(), sys.argv[1], 'exec'), {'__name__': '__main__'})"
    sys.stdout.flush()
    ended = subprocess.run(
        [sys.executable, "-c", runner, str(found.lab)],
        input=code,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", FIGURES: str(figures), "COHORT_LAB": f"lab-{number}-{section}"},
        check=False,
    )
    if ended.returncode:
        raise typer.Exit(1 if ended.returncode > 0 else 130)
    typer.echo(f"next: cohort lab {number}")


def _write(lab: Path, notebook: Path, force: bool) -> None:
    from cohort_cli.errors import EnvironmentTrouble, UsageError
    from cohort_cli.training import disk, guards

    if notebook.suffix != ".ipynb":
        raise UsageError(
            f"{notebook} does not end with .ipynb.", f"--notebook {notebook.with_suffix('.ipynb')}"
        )
    if notebook.exists() and not force:
        raise UsageError(
            f"{notebook} is there already, perhaps with your notes.", "Choose another name, or: --force"
        )
    try:
        import jupytext
    except ImportError:
        raise EnvironmentTrouble(
            "Notebooks are written with jupytext.", 'pip install "cohort-kit[labs]"'
        ) from None
    text = jupytext.writes(jupytext.read(lab, fmt="py:percent"), fmt="ipynb")
    try:
        disk.replace_bytes(notebook.absolute(), text.encode("utf-8"))
    except OSError as trouble:
        raise guards.disk_trouble(trouble, str(notebook)) from None
