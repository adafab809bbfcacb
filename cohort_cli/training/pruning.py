"""What may be removed from the runs: a plan first, then the removal. No torch.

A run keeps its newest whole checkpoint and its best one, and those that another run starts from. What goes: its other
checkpoints, and damaged ones where a whole one is left. A run without any whole checkpoint that ended badly goes as a
whole. A run that is being trained is left alone.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import CohortError
from cohort_cli.training import disk, guards, kept
from cohort_cli.training.runs import RunFolder

ENDED_BADLY = ("failed", "killed", "stopped", "new")


class Removal(NamedTuple):
    run: RunFolder
    path: Path  # a checkpoint, or the run's whole folder
    bytes: int
    why: str


def plan(runs: list[RunFolder], everybody: list[RunFolder], days: float) -> list[Removal]:
    """What would go from `runs`; of whole runs, those that nothing was written to for so many days.

    Reads every byte of every checkpoint: only one that is surely whole counts. `everybody`: all runs, whose starting
    points stay.
    """
    wanted = {_start(run) for run in everybody}
    return [removal for run in runs for removal in _of_run(run, wanted, days)]


def carry_out(removals: list[Removal]) -> int:
    """Remove what the plan says; returns how many. A run that began to train meanwhile keeps everything."""
    done = 0
    for removal in removals:
        try:
            done += _remove(removal)
        except OSError as error:
            raise guards.disk_trouble(error, str(removal.path)) from None
    return done


def _of_run(run: RunFolder, wanted: set[Path], days: float) -> list[Removal]:
    if run.is_running():
        return []
    found = [one for one in kept.checkpoints(run, checked=True) if not one.path.is_symlink()]
    newest, best = kept.newest(found), kept.best(found)
    if newest is None:
        return [] if not _is_lost(run, days) else [_whole(run)]
    removals = []
    for one in found:
        if one in (newest, best) or one.path.resolve() in wanted:
            continue
        why = f"damaged: {one.problem}" if one.problem else "neither the newest nor the best"
        removals.append(Removal(run, one.path, one.bytes, why))
    return removals


def _is_lost(run: RunFolder, days: float) -> bool:
    """Whether a run without a whole checkpoint ended badly, and long enough ago."""
    try:
        status = run.read_status()
        updated = datetime.fromisoformat(status.updated)
    except (CohortError, ValueError):
        return False  # a folder that cannot be understood is not ours to remove
    if updated.tzinfo is None:
        updated = updated.replace(tzinfo=UTC)
    return status.state in ENDED_BADLY and datetime.now(UTC) - updated >= timedelta(days=days)


def _whole(run: RunFolder) -> Removal:
    size = sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())
    return Removal(run, run.root, size, f"the whole run: {run.read_status().state}, without a checkpoint")


def _remove(removal: Removal) -> bool:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(removal.run.lock())  # nobody goes on with it meanwhile
        except CohortError:
            return False
        if removal.path != removal.run.root:
            # first its name, so that half of one never looks like a checkpoint
            trash = removal.path.with_name(f".trash-{removal.path.name}")
            disk.rename(removal.path, trash)
            disk.remove_all(trash)
            return True
    aside = removal.path.with_name(f".trash-{removal.path.name}-{time.time_ns()}")
    disk.rename(removal.path, aside)
    shutil.rmtree(aside, ignore_errors=True)
    return True


def _start(run: RunFolder) -> Path:
    """Where a run's weights come from, if that is one checkpoint."""
    try:
        return Path(run.config().model.start_from).expanduser().resolve()
    except (CohortError, OSError, RuntimeError):
        return run.root
