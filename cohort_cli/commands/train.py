"""`cohort train PROJECT`: run a training job with the member's own parts, from a laptop to several GPUs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from cohort_cli.catalog import Project
    from cohort_cli.training.config import Config
    from cohort_cli.training.runs import RunFolder

MAY_CHANGE = ("optimizer.", "schedule.", "hardware.", "run.", "batch.micro_sequences")  # when a run goes on
MUST_STAY = ("optimizer.name", "run.seed")


def train(
    project: Annotated[str, typer.Argument(help="For example project3.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="A preset of the project, or a TOML file of your own. \\[default: laptop]", metavar="NAME"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Whose parts to train: mine, or the kit's own (reference).", metavar="mine|reference"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change one number of the preset. Again for more.", metavar="SECTION.KEY=VALUE"
        ),
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Short for --preset smoke: under a minute.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest run that is not done, or with --name.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="A name for the run; else project, preset and time.")
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes that train together; 0: one per GPU.", min=0)] = 0,
    on: Annotated[
        str | None, typer.Option(help="Send the job: here, slurm, sky, hf or notebook.", metavar="PLACE")
    ] = None,
    nodes: Annotated[int, typer.Option(help="Machines that train together.", min=1, metavar="N")] = 1,
    gpus: Annotated[int, typer.Option(help="GPUs of each machine.", min=0, metavar="N")] = 0,
    gpu_type: Annotated[
        list[str] | None, typer.Option(help="Such as H100. Again for the next best.", metavar="TYPE")
    ] = None,
    walltime: Annotated[
        str, typer.Option(help="Such as 2h or 90m; it saves before that.", metavar="TIME")
    ] = "",
    max_usd_per_hour: Annotated[
        float, typer.Option(help="Rent nothing that costs more.", min=0, metavar="X")
    ] = 0.0,
    spot: Annotated[
        bool, typer.Option("--spot", help="Cheaper machines that may be taken away at any time.")
    ] = False,
    env: Annotated[
        list[str] | None, typer.Option(help="A variable for the job. Again for more.", metavar="A=B")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="A variable whose value is passed on and never written down.", metavar="NAME"),
    ] = None,
    max_stalls: Annotated[
        int, typer.Option(help="Restarts in a row without one more checkpoint.", min=0, metavar="N")
    ] = 2,
    detach: Annotated[bool, typer.Option("--detach", help="With --on here: in the background.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, and make nothing.")
    ] = False,
) -> None:
    """Train a model, and leave a run folder with its curves, samples and checkpoints.

    Ctrl-C saves a checkpoint and ends with exit code 75; `--resume` goes on from there, bit for bit on a CPU.

    $ cohort train project3 --smoke
    parts       the kit's own (there is no workspace here)
    run         runs/project3-smoke-20261126-190500
    …
    validation  1.4872 nats per token (bigram counts on the same text: 2.3160)
                2.1416 bits per byte, perplexity 4.42
    next: cohort runs show project3-smoke-20261126-190500
    """
    from cohort_cli.catalog import find_project
    from cohort_cli.errors import UsageError
    from cohort_cli.launching.wish import Wish, refuse_without_place

    found = find_project(project)
    if model not in (None, "mine", "reference"):
        raise UsageError(f"--model {model} is neither mine nor reference.", "For example: --model reference")
    wish = Wish(on or "", nodes, gpus, tuple(gpu_type or ()), walltime, max_usd_per_hour, spot, tuple(env or ()),
                tuple(secret or ()), max_stalls, processes, dry_run, detach)  # fmt: skip
    refuse_without_place(wish)
    if resume:
        _refuse_with_resume({"--preset": preset, "--smoke": smoke, "--model": model})
        folder = _run_to_resume(found, name)
        made = _Made(folder.root, folder.config(), lambda: _changed(folder, settings or []), False)
    else:
        config = _config(found, "smoke" if smoke else preset or "laptop", settings or [])
        path = _path(config, found, name)
        parts = {} if dry_run else _parts(config, found, model)
        made = _Made(path, config, lambda: _new_run(path, config, found, parts), True)
    if on is None:
        raise typer.Exit(_train(made, processes))
    from cohort_cli.launching.sending import dispatch

    changes = tuple(settings or ())
    raise typer.Exit(
        dispatch(wish, found.id, made.path, made.config, made.folder, new=made.new, settings=changes)
    )


class _Made(NamedTuple):
    """A run that is about to be there."""

    path: Path
    config: Config
    folder: Callable[[], RunFolder]  # makes it, or changes it
    new: bool


def _refuse_with_resume(given: dict[str, Any]) -> None:
    """A run goes on with the preset and the parts that it was started with."""
    from cohort_cli.errors import UsageError

    for option, value in given.items():
        if value:
            raise UsageError(
                f"{option} cannot change in the middle of a run: --resume goes on with what it was started with.",
                f"Leave {option} out, or start a new run without --resume.",
            )


def _config(project: Project, preset: str, settings: list[str]) -> Config:
    from cohort_cli.training import start
    from cohort_cli.training.config import load_preset
    from cohort_cli.training.presets import preset_path

    return start.adopt(load_preset(preset_path(project, preset), settings))


def _run_to_resume(project: Project, name: str | None) -> RunFolder:
    from cohort_cli.errors import CohortError, UsageError
    from cohort_cli.training.places import runs_home
    from cohort_cli.training.runs import all_runs, find_run

    home = runs_home()
    if name is not None:
        return find_run(home, name)
    open_runs = []
    for run in all_runs(home):
        with contextlib.suppress(CohortError):  # one that cannot be read is not the one to go on with
            if run.project() == project.id and run.read_status().state not in ("done", "running"):
                open_runs.append(run)
    if not open_runs:
        raise UsageError(f"There is no run of {project.id} in {home} to go on with.", "cohort runs list")
    return max(open_runs, key=lambda run: run.read_status().updated)


def _changed(folder: RunFolder, settings: list[str]) -> RunFolder:
    """Other numbers for the rest of a run, such as a lower learning rate. Raises UsageError for what cannot change."""
    from cohort_cli.errors import UsageError
    from cohort_cli.training.config import apply_settings

    fixed = [
        setting for setting in settings if not setting.startswith(MAY_CHANGE) or setting.startswith(MUST_STAY)
    ]
    if fixed:
        raise UsageError(
            f"--set {fixed[0]} cannot change in the middle of a run: its weights and its data depend on it.",
            f"What can: {', '.join(MAY_CHANGE)} (not {', '.join(MUST_STAY)})    For the rest start a new run.",
        )
    config = apply_settings(folder.config(), settings)
    if config.schedule.steps < (done := folder.read_status().step):
        raise UsageError(
            f"schedule.steps={config.schedule.steps}: this run has made {done} steps already.",
            f"--set schedule.steps={done} or more.",
        )
    with folder.lock():  # nobody trains here with the numbers of before
        if settings:
            folder.change(config)
    return folder


# --- whose parts ---------------------------------------------------------------------------------------------


def _parts(config: Config, project: Project, model: str | None) -> dict[str, str]:
    """part -> folder of the member's code, for each part of this job that is the member's; says so.

    Raises CohortError, naming the part and the check, if one of them is wrong.
    """
    from cohort_cli import own_parts
    from cohort_cli.errors import NoWorkspace
    from cohort_cli.workspace import find_workspace

    if model == "reference":
        _tell("parts", "the kit's own (--model reference)")
        return {}
    try:
        space = find_workspace()
    except NoWorkspace:
        if model == "mine":
            raise
        _tell("parts", "the kit's own (there is no workspace here)")
        return {}
    return own_parts.parts_of(space, config, project, model, _tell)


# --- the run -------------------------------------------------------------------------------------------------


def _path(config: Config, project: Project, name: str | None) -> Path:
    """The folder of a new run, which is not there yet."""
    import time

    from cohort_cli.errors import UsageError
    from cohort_cli.training.places import runs_home

    if name is not None and (name.startswith(("-", ".")) or set(name) & set('/\\:*?"<>|')):
        raise UsageError(f"--name {name!r} is no name for a folder.", "For example: --name longer-context")
    return runs_home() / (name or f"{project.id}-{config.preset}-{time.strftime('%Y%m%d-%H%M%S')}")


def _new_run(path: Path, config: Config, project: Project, parts: dict[str, str]) -> RunFolder:
    from cohort_cli.training import start
    from cohort_cli.training.runs import RunFolder

    start_at = start.chosen(config.model.start_from)
    return RunFolder.create(path, config, project=project.id, parts=parts, start_at=start_at)


def _train(made: _Made, processes: int) -> int:
    from cohort_cli.launching import foreground

    return foreground.train(made.folder(), processes)


def _tell(what: str, text: str) -> None:
    print(f"{what:<11} {text}", file=sys.stderr)
