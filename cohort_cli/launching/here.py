"""This machine: one process, or several under torchrun, looked after by supervise.py, in front or in the background.

In the background it has a session of its own, so that it outlives the terminal. Two jobs on one machine do not meet:
`--standalone` makes torchrun take a free port, and a run's folder has one supervisor and one trainer (lock.py).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cohort_cli.errors import CohortError
from cohort_cli.launching.job import Job
from cohort_cli.launching.logs import follow_file
from cohort_cli.launching.place import Found, Handle, Problem, Rendered, write_files
from cohort_cli.training import launch, lock

LOG = "here.log"
ROOM = 200_000_000  # bytes; less is too little for the checkpoints of any preset
START_SECONDS = 1.0  # in which a background process that cannot begin has ended


class Here:
    name = "here"
    says = "this machine, on its CPU or its GPUs"

    def check(self, job: Job | None) -> list[Problem]:
        found = []
        if importlib.util.find_spec("torch") is None:
            found.append(Problem("torch is not installed.", "cohort doctor"))
        if job is None:
            return found
        resources, limits, there = job.resources, job.limits, launch.gpus()
        if resources.nodes > 1:
            found.append(
                Problem(
                    f"{resources.nodes} nodes are asked for, and this is one.", "--nodes 1, or --on slurm"
                )
            )
        if resources.gpus > there:
            found.append(
                Problem(
                    f"{resources.gpus} GPUs are asked for, and {there or 'none'} can be used here.",
                    f"--gpus {there}"
                    if there
                    else "Leave out --gpus, or: cohort train --help for other places",
                )
            )
        for option, given in (
            ("--gpu-type", resources.gpu_types),
            ("--spot", resources.spot),
            ("--max-usd-per-hour", limits.max_usd_per_hour),
        ):
            if given:
                found.append(Problem(f"{option} says nothing about this machine.", f"Leave {option} out."))
        found += [
            Problem(f"The secret {name} is not set.", f"Set the variable {name} before you send the job.")
            for name in job.secrets
            if name not in os.environ
        ]
        home = _nearest(Path(job.run))
        if (free := shutil.disk_usage(home).free) < ROOM:
            found.append(
                Problem(f"{home} has {free / 1e6:,.0f} MB left.", "cohort runs prune, or set COHORT_RUNS")
            )
        return found

    def render(self, job: Job) -> Rendered:
        return Rendered({}, (sys.executable, "-m", "cohort_cli.launching", job.run))

    def submit(self, job: Job, rendered: Rendered, run: Path) -> Handle:
        """In the background. Raises CohortError (exit code 7) where it cannot begin."""
        write_files(rendered, run)
        with (run / LOG).open("ab") as log:
            process = subprocess.Popen(
                rendered.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
                **_apart(),
            )
        handle = handle_of(process.pid)
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            return handle
        if process.returncode:
            said = (run / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            trouble = CohortError(
                f"The job did not begin: {said[0] if said else f'code {process.returncode}'}",
                said[-1].strip() if len(said) > 1 else "Try it in front: leave out --detach",
            )
            trouble.exit_code = 7
            raise trouble
        return handle

    def status(self, handle: Handle) -> Found:
        if handle.host != socket.gethostname():
            return Found("gone", f"sent from {handle.host}; its folder says more")
        pid, _, began = handle.id.partition(":")
        alive = lock.is_same(int(pid), float(began))
        return Found("running", f"process {pid}") if alive else Found("gone", f"process {pid} has ended")

    def logs(self, handle: Handle, run: Path, follow: bool) -> Iterator[str]:
        path = run / LOG if (run / LOG).is_file() else run / "log.txt"
        ours = handle.host == socket.gethostname()
        return follow_file(path, lambda: follow and ours and self.status(handle).state == "running")

    def cancel(self, handle: Handle, run: Path) -> None:
        """The file STOP is all that it takes: supervisor and trainers look at it, on every system."""
        (run / "STOP").touch()

    def fetch(self, handle: Handle, job: Job, into: Path) -> list[str]:
        return []  # it is here


def handle_of(pid: int) -> Handle:
    """A process of this machine. Its id holds when it began, since numbers of processes are used again."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return Handle("here", f"{pid}:{lock.began(pid) or 0.0:.2f}", socket.gethostname(), when)


def _apart() -> dict[str, Any]:
    """A process that no closed terminal and no Ctrl-C of ours reaches."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _nearest(path: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.is_dir())
