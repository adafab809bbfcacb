"""`cohort train PROJECT`: run a training job with the member's own parts, from a laptop to several GPUs."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.catalog import Project
    from cohort_cli.training.config import Config
    from cohort_cli.training.live import View
    from cohort_cli.training.runs import RunFolder

MAY_CHANGE = ("optimizer.", "schedule.", "hardware.", "run.", "batch.micro_sequences")  # when a run goes on
STOPS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK")
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

    found = find_project(project)
    if model not in (None, "mine", "reference"):
        raise UsageError(f"--model {model} is neither mine nor reference.", "For example: --model reference")
    if resume:
        _refuse_with_resume({"--preset": preset, "--smoke": smoke, "--model": model})
        folder = _run_to_resume(found, name)
        _change(folder, settings or [])
    else:
        config = _config(found, "smoke" if smoke else preset or "laptop", settings or [])
        parts = _parts(config, found, model)
        folder = _new_run(config, found, name, parts)
    raise typer.Exit(_train(folder, processes))


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


def _change(folder: RunFolder, settings: list[str]) -> None:
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


def _new_run(config: Config, project: Project, name: str | None, parts: dict[str, str]) -> RunFolder:
    import time

    from cohort_cli.errors import UsageError
    from cohort_cli.training import start
    from cohort_cli.training.places import runs_home
    from cohort_cli.training.runs import RunFolder

    if name is not None and (name.startswith(("-", ".")) or set(name) & set('/\\:*?"<>|')):
        raise UsageError(f"--name {name!r} is no name for a folder.", "For example: --name longer-context")
    name = name or f"{project.id}-{config.preset}-{time.strftime('%Y%m%d-%H%M%S')}"
    start_at = start.chosen(config.model.start_from)
    return RunFolder.create(runs_home() / name, config, project=project.id, parts=parts, start_at=start_at)


def _train(folder: RunFolder, processes: int) -> int:
    """Start the processes and show what they say. Returns the exit code."""
    from cohort_cli.training import launch
    from cohort_cli.training.live import View
    from cohort_cli.training.report import write_report

    config = folder.config()
    count = launch.processes_for(config, processes)
    _tell("run", str(folder.root))
    end: dict[str, Any] = {}
    with (
        launch.started(folder, count, config.hardware.threads) as (process, events),
        View() as view,
        _signals_are_theirs(view, folder),
    ):
        for event in events:
            view.show(event)
            end = event if event["event"] == "end" else end
        process.wait()
    try:
        write_report(folder)
    except OSError as trouble:  # a full disk; how the run ended is still to be told
        _tell("note", f"the report page could not be written: {trouble.strerror}")
    return _close(folder, end, process.returncode)


@contextmanager
def _signals_are_theirs(view: View, folder: RunFolder) -> Iterator[None]:
    """A request to stop is the training processes' business: they save and end, and we go on listening.

    Ctrl-C reaches them too; the third one is ours. Another signal may have been meant for us alone, so it is passed on.
    """
    times = 0

    def heard(number: int, frame: Any) -> None:
        nonlocal times
        if number != signal.SIGINT:
            view.note(f"stopping after {signal.Signals(number).name}: the step is finished and saved")
            folder.request_stop()
            return
        times += 1
        if times == 1:
            view.note("stopping: the step is finished and saved. Ctrl-C again leaves at once")
        if times > 2:
            raise KeyboardInterrupt

    before = {}
    for name in STOPS:
        number = getattr(signal, name, None)  # Windows has few of them
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            before[number] = signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _close(folder: RunFolder, end: dict[str, Any], code: int) -> int:
    """The last words, and the exit code: what the run says of itself, or else what the process ended with."""
    from cohort_cli.errors import CohortError
    from cohort_cli.training.live import summary

    name = folder.root.name
    if not end and code == -signal.SIGINT:
        _tell("stopped", "before training began")
        return 130
    if not end:
        trouble = CohortError(
            f"The training process ended without a word (code {code}). Its last checkpoint is kept.",
            f"Read {folder.log_path}    then: cohort train {folder.project()} --resume --name {name}",
        )
        trouble.exit_code = 7
        raise trouble
    if end["state"] != "refused":  # else the folder is another process's
        for line in summary(folder):
            typer.echo(line)
    if end["state"] == "done":
        typer.echo(f"next: cohort runs show {name}")
    elif end["state"] == "stopped":
        typer.echo(f"next: cohort train {folder.project()} --resume --name {name}")
    else:
        trouble = CohortError(end["message"], end["repair"])
        trouble.exit_code = int(end["exit"])
        raise trouble
    return int(end["exit"])


def _tell(what: str, text: str) -> None:
    print(f"{what:<11} {text}", file=sys.stderr)
