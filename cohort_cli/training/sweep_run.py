"""Runs the jobs of a sweep, some at a time, and keeps what is done. No torch here: a job is a process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import CohortError
from cohort_cli.training import launch, start
from cohort_cli.training.config import Config
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.sweep import Job, Sweep, label

RunJob = Callable[[Config, Path], dict[str, Any]]  # (configuration, run folder) -> its last metrics
Tell = Callable[[str], None]


class Stopped(CohortError):
    """Saved on request: the same command goes on."""

    exit_code = 75


class Result(NamedTuple):
    state: str  # done, failed, stopped or waiting
    metrics: dict[str, Any] = {}  # noqa: RUF012  (a NamedTuple's default is never changed)
    message: str = ""


def run(
    sweep: Sweep,
    folder: Path,
    run_job: RunJob,
    stop_jobs: Callable[[], None],
    tell: Tell,
    changed: Callable[[dict[str, Result]], None],
) -> dict[str, Result]:
    """Run every job that is not done yet, `workers` at a time. Returns the result of each job by its id.

    `changed` hears all results after each job, so that they can be written down. Ctrl-C asks the running jobs to save
    (`stop_jobs`), waits for them, and returns; what was not begun is "waiting".
    """
    results = {job.id: finished(folder / job.id) or Result("waiting") for job in sweep.jobs}
    todo = [job for job in sweep.jobs if results[job.id].state != "done"]
    tell(f"{len(sweep.jobs)} jobs, {len(sweep.jobs) - len(todo)} of them done before")
    changed(results)
    waiting = iter(todo)
    running: dict[Future[dict[str, Any]], Job] = {}
    stopping = False
    with ThreadPoolExecutor(sweep.head.workers) as pool:
        while True:
            try:
                while not stopping and len(running) < sweep.head.workers and (job := next(waiting, None)):
                    config = _share_cores(job.config, sweep.head.workers)
                    running[pool.submit(run_job, config, folder / job.id)] = job
                if not running:
                    return results
                # Windows hears Ctrl-C only between two waits
                for future in wait(running, timeout=1.0, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    results[job.id] = _result_of(future)
                    tell(_line(sweep, job, results))
                    changed(results)
            except KeyboardInterrupt:
                if stopping:
                    raise
                stopping = True
                stop_jobs()
                tell("stopping: the running jobs finish their step and save. Ctrl-C again leaves at once")


def _share_cores(config: Config, workers: int) -> Config:
    threads = config.hardware.threads or max(1, (os.cpu_count() or 1) // workers)
    return config._replace(hardware=config.hardware._replace(threads=threads)) if workers > 1 else config


def _result_of(future: Future[dict[str, Any]]) -> Result:
    try:
        return Result("done", future.result())
    except Stopped:
        return Result("stopped")
    except CohortError as trouble:
        return Result("failed", message=trouble.message)
    except OSError as trouble:  # one job that cannot be started does not end the others
        return Result("failed", message=str(trouble))


def _line(sweep: Sweep, job: Job, results: dict[str, Result]) -> str:
    result = results[job.id]
    over = sum(one.state in ("done", "failed") for one in results.values())
    what = result.message or result.state
    if sweep.head.metric in result.metrics:
        what = f"{sweep.head.metric} {result.metrics[sweep.head.metric]:.4f}"
    return f"{over}/{len(results)}  {label(job.settings)}, seed {job.seed}: {what}"


def finished(root: Path) -> Result | None:
    """What a job left behind, if it is done."""
    if not (root / "config.json").is_file():
        return None
    folder = RunFolder.open(root)
    return Result("done", last_metrics(folder)) if folder.read_status().state == "done" else None


def last_metrics(folder: RunFolder) -> dict[str, Any]:
    """The last value of each metric, and the lowest validation loss on the way."""
    last: dict[str, Any] = {}
    for row in folder.read_metrics():
        last |= row
    if best := folder.best():
        last["best_validation_loss"] = best["validation_loss"]
    return last


class Processes:
    """Runs jobs as `cohort train` does: a process each, with the kit's own parts."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.stopping = False
        self._running: set[Path] = set()
        self._lock = threading.Lock()

    def run(self, config: Config, root: Path) -> dict[str, Any]:
        """Start the job, or go on with it. Raises Stopped, or CohortError with what went wrong."""
        if (root / "config.json").is_file():
            folder = RunFolder.open(root)
        else:
            start_at = start.chosen(config.model.start_from)
            folder = RunFolder.create(root, config, project=self.project, start_at=start_at)
        end: dict[str, Any] = {}
        with self._listed(folder), launch.started(folder, 1, config.hardware.threads) as (process, events):
            for event in events:
                end = event if event["event"] == "end" else end
            code = process.wait()
        if not end:
            raise CohortError(f"The process ended without a word (code {code}).", f"Read {folder.log_path}")
        if end["state"] == "stopped":
            raise Stopped(f"{root.name} is saved.")
        if end["state"] != "done":
            raise CohortError(end["message"], end["repair"])
        return last_metrics(folder)

    def stop(self) -> None:
        """Ask every running job to save and end."""
        with self._lock:
            self.stopping = True
            for root in self._running:
                with contextlib.suppress(OSError):
                    RunFolder(root).request_stop()

    @contextlib.contextmanager
    def _listed(self, folder: RunFolder) -> Iterator[None]:
        with self._lock:
            if self.stopping:
                raise Stopped(f"{folder.root.name} was not begun.")
            self._running.add(folder.root)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(folder.root)
