"""Whether a job that has ended is done, was stopped, failed, or should start once more: judged by the run's folder.

    python -m cohort_cli.launching.verdict begin RUN           before each start
    python -m cohort_cli.launching.verdict end RUN [REASON]    after it; REASON: walltime, cancel, or nothing
        exit codes: 0 it is over and well, 75 start it once more, 7 it failed

A bug stops at once: to start again would only repeat it. A process that was lost (its machine, the kernel, a scheduler)
says nothing, and its peers complain about a connection: that starts again from the newest whole checkpoint. What counts
against a job are starts in a row that saved no further step. No torch here: this runs on the nodes, beside the trainer.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.launching import job as jobs
from cohort_cli.launching.faults import may_be_lost, speaks_of_a_peer
from cohort_cli.training import disk, guards, kept
from cohort_cli.training import lock as locks
from cohort_cli.training.runs import RunFolder

SCHEMA = "cohort.restarts/1"
FILE = "restarts.json"
AGAIN, FAILED = 75, 7  # exit codes
WALLTIME, CANCEL = (
    "walltime",
    "cancel",
)  # reasons; one stands in a STOP that the job itself wrote, a person's is empty
LOCK_SECONDS = locks.STALE_SECONDS + 30  # a machine that died holds the folder for so long

_FULL = re.compile(r"No space left|quota exceeded|File too large|disk is full", re.IGNORECASE)


class Verdict(NamedTuple):
    what: str  # "done", "stopped", "again" or "failed"
    says: str


def begin(run: Path) -> Verdict | None:
    """Before a start: wait for a process that may still hold the folder, and write down where we start from.

    A verdict, if there is nothing to start: it is done, or a person asked to stop while it waited.
    """
    folder = RunFolder.open(run)
    end = time.monotonic() + LOCK_SECONDS
    while folder.is_running():
        if time.monotonic() > end:
            return Verdict("failed", f"Another process trains in {run}, and has not ended.")
        time.sleep(0.5)
    if folder.read_status().state == "done":
        return Verdict("done", "It is done already.")
    if folder.stop_path.exists():
        if folder.stop_path.read_bytes().strip() not in (WALLTIME.encode(), CANCEL.encode()):
            return Verdict("stopped", "A file STOP was there before it started.")
        folder.stop_path.unlink(missing_ok=True)  # the place brought the job back, so nobody meant to end it
    for path in run.glob("error.*.json"):
        path.unlink(missing_ok=True)
    _write(run, {**_read(run), "before": kept.saved_step(folder)})
    return None


def end(run: Path, reason: str = "") -> Verdict:
    """After it ended: what comes next. Counts starts without progress."""
    folder, job = RunFolder.open(run), jobs.read(run) or jobs.Job(str(run), "", "")
    table = _read(run)
    before, after = int(table.get("before", 0)), kept.saved_step(folder)
    verdict = judge(folder, job.resources.nodes * job.resources.processes_per_node, reason)
    if verdict.what == "failed":  # the first process may only have heard that a peer is gone
        status = folder.read_status()
        folder.write_status(
            "failed", status.step, status.steps, message=verdict.says, exit=status.exit or FAILED
        )
    if verdict.what != "again":
        return verdict
    stalls = 0 if after > before else int(table.get("stalls", 0)) + 1
    _write(run, {**table, "stalls": stalls, "starts": int(table.get("starts", 0)) + 1})
    if reason == WALLTIME:
        folder.stop_path.unlink(missing_ok=True)
    if stalls > job.limits.max_stalls:
        says = f"Gave up after {stalls} starts in a row that saved no step after {after}. The last: {verdict.says}"
        folder.write_status("failed", after, folder.read_status().steps, message=says, exit=FAILED)
        return Verdict("failed", says)
    return Verdict(
        "again", f"{verdict.says} Steps saved: {after}, before this start {before}; stalls: {stalls}."
    )


def judge(folder: RunFolder, world: int, reason: str) -> Verdict:
    """What the folder says about processes that have ended, without counting anything."""
    status = folder.read_status()
    if status.state == "done":
        return Verdict("done", f"All {status.steps} steps are made.")
    if reason == CANCEL:
        return Verdict("stopped", f"It was cancelled, and saved at step {kept.saved_step(folder)}.")
    errors = _errors(folder)
    if bug := _bug(errors, world):
        rank, says = bug  # the first process has put what it knows into the status, in a member's words
        return Verdict("failed", status.message if rank == 0 and status.message else says)
    if reason != WALLTIME and folder.stop_path.exists():
        return Verdict("stopped", f"A person asked it to stop; saved at step {kept.saved_step(folder)}.")
    if full := _full_disk(folder):
        return Verdict("failed", full)
    if reason == WALLTIME or status.state == "stopped":
        return Verdict(
            "again", "It stopped before its time was up." if reason == WALLTIME else "It was interrupted."
        )
    lost = next(iter(errors.values()), {}).get("message", "it left no word")
    return Verdict("again", f"A process was lost: {str(lost)[:160]}.")


def _bug(errors: dict[int, dict[str, Any]], world: int) -> tuple[int, str] | None:
    """(process, its error) of what would happen again at the next start; None if a peer may only have been lost."""
    for rank, error in errors.items():
        message = str(error.get("message", ""))
        if world == 1 or not may_be_lost(error) or _FULL.search(message):
            return rank, f"Process {rank}: {error.get('error')}: {message}"
    kinds = {str(error.get("error", "")) for error in errors.values()}
    lost = any(map(speaks_of_a_peer, errors.values()))
    if len(errors) >= world and len(kinds) == 1 and not lost:
        rank = min(errors)
        return rank, f"All processes: {errors[rank].get('error')}: {errors[rank].get('message')}"
    return None


def _errors(folder: RunFolder) -> dict[int, dict[str, Any]]:
    """rank -> what its process wrote; a file that cannot be read says nothing."""
    found = {}
    for path in folder.root.glob("error.*.json"):
        with contextlib.suppress(OSError, ValueError):
            table = json.loads(path.read_bytes())
            if isinstance(table, dict):
                found[int(path.name.split(".")[1])] = table
    return dict(sorted(found.items()))


def _full_disk(folder: RunFolder) -> str:
    """A disk so full that not even the error could be written on it."""
    free = shutil.disk_usage(folder.root).free
    newest = kept.newest(kept.checkpoints(folder))
    if free >= (newest.bytes if newest else 0) + guards.SMALL // 10:
        return ""
    return f"{folder.root} has {guards.size(free)} left, which is no room for a checkpoint."


def _read(run: Path) -> dict[str, Any]:
    try:
        table = json.loads((run / FILE).read_bytes())
        return table if isinstance(table, dict) and table.get("schema") == SCHEMA else {"schema": SCHEMA}
    except (OSError, ValueError):
        return {"schema": SCHEMA}


def _write(run: Path, table: dict[str, Any]) -> None:
    try:
        disk.replace_bytes(run / FILE, (json.dumps(table) + "\n").encode())
    except OSError as error:
        raise guards.disk_trouble(error, str(run / FILE)) from None


def main(words: list[str]) -> int:
    try:
        match words:
            case ["begin", run]:
                verdict = begin(Path(run))
                if verdict is None:
                    return AGAIN
            case ["end", run, *reason]:
                verdict = end(Path(run), "".join(reason))
            case _:
                raise UsageError("begin RUN, or end RUN [REASON].")
    except CohortError as error:
        print(f"failed: {error.message} {error.repair}", flush=True)
        return FAILED
    print(f"{verdict.what}: {verdict.says}", flush=True)
    return {"again": AGAIN, "failed": FAILED}.get(verdict.what, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
