"""What `cohort runs` asks of a run that was sent somewhere: where it is, how it is there, its log, its files.

A run's own status counts first: the trainer wrote it. The place only fills in what the folder cannot say, such as
"waiting". A place that cannot be asked (no network, its program is gone) hides nothing: its words say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.launching import job as jobs
from cohort_cli.launching import place as places
from cohort_cli.launching.logs import follow_file
from cohort_cli.launching.place import Found, Handle
from cohort_cli.launching.places import find
from cohort_cli.training.runs import RunFolder

OVER = ("done", "stopped")  # "failed" may be started again


class Seen(NamedTuple):
    place: str  # "" for a run that was not sent anywhere
    state: str  # what a list shows: a state of the run, or "waiting", or "gone"
    says: str  # the place's own words
    active: bool  # it waits or runs there


def look(run: RunFolder, state: str) -> Seen:
    """state: what the run's folder says."""
    try:
        handle = places.read_handle(run.root)
    except CohortError as trouble:
        return Seen("?", state, trouble.message, False)
    if handle is None:
        return Seen("", state, "", False)
    if state in OVER:
        return Seen(handle.place, state, "", False)
    found = ask(handle)
    if found is None:
        return Seen(handle.place, state, f"{handle.place} cannot be asked now", False)
    if found.state == "waiting":
        return Seen(handle.place, "waiting", found.says, True)
    if found.state == "running":
        return Seen(handle.place, "running", found.says, True)
    if state == "new" and handle.place != "here":  # it may have ended there without our knowing: see fetch
        return Seen(handle.place, "gone", found.says, False)
    return Seen(handle.place, "killed" if state == "new" else state, found.says, state == "running")


def is_active(run: RunFolder) -> bool:
    """Whether something of it still waits, trains or tidies up, here or where it was sent."""
    handle = places.read_handle(run.root)
    found = None if handle is None else ask(handle)
    return run.is_running() or (found is not None and found.state != "gone")


def ask(handle: Handle) -> Found | None:
    try:
        return find(handle.place).status(handle)
    except (CohortError, OSError, ValueError):
        return None


def cancel(run: RunFolder) -> None:
    """Ask the run to save and stop, here and where it was sent."""
    run.request_stop()
    if (handle := places.read_handle(run.root)) is not None:
        find(handle.place).cancel(handle, run.root)


def logs(run: RunFolder, follow: bool) -> Iterator[str]:
    handle = places.read_handle(run.root)
    if handle is None:
        return follow_file(run.log_path, lambda: follow and run.is_running())
    return find(handle.place).logs(handle, run.root, follow)


def fetch(run: RunFolder) -> tuple[str, list[str]]:
    """(the place, the files that were brought). Raises UsageError for a run that was not sent anywhere."""
    handle, job = places.read_handle(run.root), jobs.read(run.root)
    if handle is None or job is None:
        raise UsageError(
            f"{run.root.name} was not sent anywhere: its files are here.", f"cohort runs show {run.root.name}"
        )
    return handle.place, find(handle.place).fetch(handle, job, run.root)
