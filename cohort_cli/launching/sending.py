"""Sends a job to a place, whole or not at all: `dispatch` does all of it, in this order.

    place.check(job);  rendered = place.render(job)
    shown(job, rendered)                              --dry-run: the files and the command; nothing is made
    handle = send(place, job, rendered, path, make, new=True)

`make` makes the run's folder. It goes away again when the place refuses: nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.launching import foreground, jobs
from cohort_cli.launching import place as places
from cohort_cli.launching.job import FILE, Job, keep
from cohort_cli.launching.job import text as text_of
from cohort_cli.launching.place import Handle, Place, Rendered
from cohort_cli.launching.places import find
from cohort_cli.launching.settings import read_settings
from cohort_cli.launching.wish import Wish, job_of
from cohort_cli.prose import clean
from cohort_cli.training import guards, launch
from cohort_cli.training.config import Config
from cohort_cli.training.runs import RunFolder


def dispatch(
    wish: Wish,
    project: str,
    path: Path,
    config: Config,
    make: Callable[[], RunFolder],
    *,
    new: bool,
    settings: tuple[str, ...] = (),
) -> int:
    """Let a place take the job, or say why it does not. `make` makes or changes the run's folder. The exit code."""
    place = find(wish.place)
    here = wish.place == "here"
    if here:
        wish = wish._replace(processes=launch.processes_for(config, wish.processes or wish.gpus))
    job = job_of(wish, run_there(wish.place, path.absolute()), project, config.preset, resume=not new)
    job = job._replace(settings=settings)
    if not new:
        require_rest(RunFolder.open(path))
    problems = place.check(job)
    if not wish.dry_run:
        places.refuse(problems)
    rendered = place.render(job)
    require_no_secret(job, rendered)
    if wish.dry_run:
        for line in shown(job, rendered):
            print(line)
        places.refuse(problems)
        return 0
    if here and not wish.detach:
        return foreground.train_here(make(), job)
    handle = send(place, job, rendered, path.absolute(), make, new=new)
    number = handle.id.partition(":")[0] if here else handle.id
    print(clean(f"{'sent':<11} to {place.name}, {number}"))
    if rendered.files and not rendered.command:  # a person starts it
        print(clean(f"next: open {path / next(iter(rendered.files))}"))
    else:
        print(clean(f"next: cohort runs logs {path.name} --follow"))
    return 0


def run_there(place: str, run: Path) -> str:
    """The run's folder as the machines that train see it: another path where Slurm is reached over ssh."""
    if place == "slurm" and (slurm := read_settings().slurm).host and slurm.runs:
        return f"{slurm.runs.rstrip('/')}/{run.name}"
    return str(run)


def shown(job: Job, rendered: Rendered) -> Iterator[str]:
    """Every file and the command, as they would be."""
    for name, text in {FILE: text_of(job), **rendered.files}.items():
        yield f"--- {job.run}/{name}"
        yield from (clean(line) for line in text.splitlines())
    yield f"$ {shlex.join(rendered.command)}" if rendered.command else "(a person takes it from here)"


def require_no_secret(job: Job, rendered: Rendered) -> None:
    """Raise if a secret's value stands in what would be written or run: a place must only name it."""
    texts = [*rendered.files.values(), *rendered.command, *(value for _, value in job.env)]
    for name in job.secrets:
        value = os.environ.get(name, "")
        if len(value) >= 6 and any(value in text for text in texts):
            raise UsageError(
                f"The value of the secret {name} would be written down.",
                "Leave it out of --env and of places.toml.",
            )


def require_rest(run: RunFolder) -> None:
    """Raise UsageError for a run that waits or runs somewhere: two jobs in one folder would be one too many."""
    seen = jobs.look(run, run.read_status().state)
    if seen.active or run.is_running():
        where = f" at {seen.place}" if seen.place else ""
        raise UsageError(
            f"{run.root.name} is {seen.state}{where} already ({seen.says or 'see its status'}).",
            f"cohort runs stop {run.root.name}",
        )


@contextlib.contextmanager
def whole_or_nothing(run: Path, *, new: bool) -> Iterator[None]:
    """If this fails, a new run's folder is taken away again, and an old one is as it was."""
    kept = {name: _bytes(run / name) for name in (FILE, places.FILE, "config.json")}
    try:
        yield
    except BaseException:
        if new:
            shutil.rmtree(run, ignore_errors=True)
        for name, data in {} if new else kept.items():
            if data is None:
                (run / name).unlink(missing_ok=True)
            else:
                (run / name).write_bytes(data)
        raise


def send(
    place: Place, job: Job, rendered: Rendered, run: Path, make: Callable[[], RunFolder], *, new: bool
) -> Handle:
    """Make or change the run's folder and submit it. Raises CohortError; then nothing is left of that."""
    if new:
        make()  # one that is there already is somebody's, and stays
    with whole_or_nothing(run, new=new):
        if not new:
            make()
        keep(job, run)
        (run / "STOP").unlink(missing_ok=True)  # of an earlier stop
        try:
            handle = place.submit(job, rendered, run)
        except OSError as error:
            trouble = CohortError(
                f"{place.name} could not be asked: {error.strerror or error}.",
                f"cohort doctor --on {place.name}",
            )
            trouble.exit_code = 7
            raise trouble from None
        try:
            places.keep_handle(handle, run)
        except OSError as error:  # nobody would find it again
            place.cancel(handle, run)
            raise guards.disk_trouble(error, str(run)) from None
    return handle


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
