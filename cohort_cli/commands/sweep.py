"""`cohort sweep FILE`: one job with several settings and seeds, and a table that says what made a difference."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.training.sweep import Sweep
    from cohort_cli.training.sweep_run import Result


def sweep(
    file: Annotated[Path, typer.Argument(help="A TOML file: preset, seeds, and a grid of settings.")],
    out: Annotated[
        Path | None, typer.Option(help="A folder for everything; sweep-NAME among your runs by default.")
    ] = None,
    allow_few_seeds: Annotated[
        bool, typer.Option("--allow-few-seeds", help="Fewer than three seeds: a first look, no result.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run a job with every setting and every seed, and compare: mean, standard deviation, number of runs.

    What is done is kept: Ctrl-C saves, and the same command goes on. A finished job never runs again.
    The jobs train the kit's own parts.

    \b
    schema = "cohort.sweep/1"
    title = "Which learning rate suits the smoke preset?"
    preset = "smoke"
    seeds = [1, 2, 3]
    [grid]
    optimizer.learning_rate = [1e-3, 3e-3]

    $ cohort sweep rates.toml
    …
    learning_rate  n    mean      sd
    …
    next: open runs/sweep-rates/table.md
    """
    from cohort_cli.errors import CohortError
    from cohort_cli.training import sweep as sweeps
    from cohort_cli.training import sweep_results, sweep_run
    from cohort_cli.training.places import runs_home

    found = sweeps.load(file, allow_few_seeds)
    folder = out or runs_home() / f"sweep-{file.stem}"
    command = f"cohort sweep {file}"
    processes = sweep_run.Processes(found.head.project)
    results = sweep_run.run(
        found,
        folder,
        processes.run,
        processes.stop,
        tell=lambda line: print(line, file=sys.stderr),
        changed=lambda results: _keep(found, results, folder, command),
    )
    states = [result.state for result in results.values()]
    if as_json:
        sweep_results.write(found, results, folder, command, draw=True)
        typer.echo(json.dumps(sweep_results.as_json(found, results)))
    else:
        _show(found, results, folder, command)
    if "failed" in states:
        first = next(result.message for result in results.values() if result.state == "failed")
        trouble = CohortError(f"{states.count('failed')} jobs failed. The first: {first}", command)
        trouble.exit_code = 7
        raise trouble
    if states.count("done") < len(states):
        raise sweep_run.Stopped(
            f"{states.count('done')} of {len(states)} jobs are done. Saved on request.",
            f"Go on with: {command}",
        )


def _keep(sweep: Sweep, results: dict[str, Result], folder: Path, command: str) -> None:
    from cohort_cli.training import sweep_results

    sweep_results.write(sweep, results, folder, command, draw=False)


def _show(sweep: Sweep, results: dict[str, Result], folder: Path, command: str) -> None:
    """The table; then the files, with the figure where it can be drawn."""
    from cohort_cli.prose import clean
    from cohort_cli.training import sweep_results

    for line in sweep_results.text(sweep, results):
        typer.echo(clean(line))
    paths = sweep_results.write(sweep, results, folder, command, draw=True)
    for path in paths:
        typer.echo(f"written  {path}")
    if not sweep_results.has_matplotlib():
        typer.echo(f"There is no figure: matplotlib is not installed. {sweep_results.EXTRA}")
    done = all(result.state == "done" for result in results.values())
    typer.echo(f"next: open {paths[-1]}" if done else f"next: {command}")
