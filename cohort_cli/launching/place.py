"""What every place can do with a job. Each place is a small module with a class that fits `Place`.

    problems = place.check(job)                 what is missing here, each with the line that repairs it
    rendered = place.render(job)                files and a command line: a pure function; --dry-run prints it
    handle = place.submit(job, rendered)        from here on it runs without us
    place.status(handle)  .logs(handle, follow)  .cancel(handle)  .fetch(handle, job, into)

Where a job runs stands in RUN/submitted.json ("cohort.submitted/1"). Whether it is done stands in RUN/status.json, which
the trainer writes; a place only says whether it is still waiting, running or gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cohort_cli.errors import BrokenManifest, EnvironmentTrouble
from cohort_cli.launching.job import Job
from cohort_cli.training import disk

SCHEMA = "cohort.submitted/1"
FILE = "submitted.json"
STATES = ("waiting", "running", "gone")  # what a place knows; "gone" is no verdict


class Problem(NamedTuple):
    what: str
    repair: str


class Rendered(NamedTuple):
    """Everything that submitting would write and run."""

    files: dict[str, str]  # name below the run's folder -> text
    command: tuple[str, ...]  # the program that takes the job, or () where a person does


class Handle(NamedTuple):
    place: str  # "here", "slurm", …
    id: str  # of a process, of a job, of a cluster
    host: str = ""  # where the place's commands are run: "" is this machine
    when: str = ""  # UTC, ISO 8601


class Found(NamedTuple):
    state: str  # one of STATES
    says: str  # the place's own words, such as Slurm's reason


class Place(Protocol):
    name: str
    says: str  # one line for the list of places

    def check(self, job: Job | None) -> list[Problem]: ...
    def render(self, job: Job) -> Rendered: ...
    def submit(self, job: Job, rendered: Rendered, run: Path) -> Handle: ...
    def status(self, handle: Handle) -> Found: ...
    def logs(self, handle: Handle, run: Path, follow: bool) -> Iterator[str]: ...
    def cancel(self, handle: Handle, run: Path) -> None: ...
    def fetch(self, handle: Handle, job: Job, into: Path) -> list[str]: ...


def refuse(problems: list[Problem]) -> None:
    """Raise EnvironmentTrouble (exit code 4) that names every problem and its repair."""
    if problems:
        what = "\n".join(f"{problem.what}\n  repair: {problem.repair}" for problem in problems[:-1])
        last = problems[-1]
        raise EnvironmentTrouble(f"{what}\n{last.what}" if what else last.what, last.repair)


def write_files(rendered: Rendered, run: Path) -> None:
    """The files of a job into the run's folder, each whole or not at all."""
    for name, text in rendered.files.items():
        disk.replace_bytes(run / name, text.encode("utf-8"))


def keep_handle(handle: Handle, run: Path) -> None:
    table: dict[str, Any] = {"schema": SCHEMA, **handle._asdict()}
    disk.replace_bytes(run / FILE, (json.dumps(table, indent=1) + "\n").encode())


def read_handle(run: Path) -> Handle | None:
    """Where this run was sent; None for one that was not. Raises BrokenManifest."""
    path = run / FILE
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_bytes())
        if table.pop("schema") != SCHEMA or not all(isinstance(value, str) for value in table.values()):
            raise ValueError(f"it does not say {SCHEMA}")
        return Handle(**table)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenManifest(
            f"{path} cannot be read: {error}.", "Delete it, and send the run again."
        ) from None
