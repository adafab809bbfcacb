"""`cohort demo`: a whole evening in about a minute and a half, in a temporary workspace, without network or GPU."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

PROJECT = "project2"
MISTAKE = "scaled-by-d_model"
STEPS = 400


def demo(
    steps: Annotated[int, typer.Option(help="Training steps of the small GPT.", min=1)] = STEPS,
    keep: Annotated[
        Path | None, typer.Option(help="Make the workspace in this folder and leave it there.")
    ] = None,
) -> None:
    """Show what the kit does: check a project, diagnose a mistake, train a small GPT.

    $ cohort demo
    1. A member starts Project 2. Nothing is written yet.
    ...
    next: cohort init my-llm
    """
    with tempfile.TemporaryDirectory(prefix="cohort-demo-") as folder:
        workspace = keep or Path(folder) / "my-llm"
        _show(workspace, steps)
    typer.echo("\nnext: cohort init my-llm")


def _show(workspace: Path, steps: int) -> None:
    from cohort_cli.catalog import find_project

    project = find_project(PROJECT)
    mistake = next(mistake for mistake in project.mistakes() if mistake.name == MISTAKE)
    work = workspace / project.folder.name
    _heading("1. A member starts Project 2. Nothing is written yet, so nothing is red.")
    _cohort("init", str(workspace))
    _cohort("start", PROJECT, cwd=workspace)
    _cohort("check", PROJECT, "attention", cwd=workspace)

    _heading("2. The member has written the code, with one slip. The check names it.")
    for source in project.reference.glob("*.py"):
        text = source.read_text(encoding="utf-8")
        text = mistake.apply(text) if source.name == mistake.file else text
        (work / source.name).write_text(text, encoding="utf-8")
    _cohort("check", PROJECT, mistake.check, "--seed", "1", cwd=workspace)

    _heading("3. The slip is repaired. Every check of the project runs on this code.")
    fixed = (project.reference / mistake.file).read_text(encoding="utf-8")
    (work / mistake.file).write_text(fixed, encoding="utf-8")
    _cohort("check", PROJECT, cwd=workspace)

    _heading(f"4. The same parts, stacked into a small GPT and trained for {steps} steps on this machine.")
    _report(_train(work, steps))


def _heading(text: str) -> None:
    typer.echo(f"\n{text}\n")


def _cohort(*words: str, cwd: Path | None = None) -> None:
    """Run a verb as a member would, and show it. A failing check is what the demo is about; anything else is not."""
    typer.echo(f"$ cohort {' '.join(words)}")
    try:
        code = subprocess.run([sys.executable, "-m", "cohort_cli", *words], cwd=cwd, check=False).returncode
    except KeyboardInterrupt:  # Ctrl-C reached the verb too, and it has said so
        raise typer.Exit(130) from None
    if code not in (0, 1):
        raise typer.Exit(code)
    typer.echo()


def _train(work: Path, steps: int) -> dict[str, Any]:
    """Train in a process of its own, with a progress bar on a terminal. Returns the last event."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    command = [sys.executable, "-m", "cohort_cli.training.tiny", str(work), "--steps", str(steps)]
    console = Console(stderr=True)
    columns = (TextColumn("training"), BarColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
    event: dict[str, Any] = {}
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        task = progress.add_task("training", total=steps, loss="starting")
        assert process.stdout is not None
        try:
            for line in process.stdout:
                event = json.loads(line)
                if "loss" in event:
                    progress.update(task, completed=event["step"], loss=f"loss {event['loss']:.2f}")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        from cohort_cli.errors import EnvironmentTrouble

        raise EnvironmentTrouble(
            "The training process ended with an error; it is printed above.", "cohort doctor"
        )
    return event


def _report(event: dict[str, Any]) -> None:
    typer.echo(f"parameters                 {event['parameters']:,}")
    typer.echo(f"bigram counts              {event['bigram']:.3f} nats per character on held-out text")
    typer.echo(f"your small GPT             {event['validation']:.3f} nats per character on the same text")
    typer.echo("\nA sample, after the prompt 'The ':\n")
    typer.echo(event["sample"])
