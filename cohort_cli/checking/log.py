"""The results log of a workspace: one line of JSON for each run, and nothing else remembers what passed.

`cohort status` derives everything from it and from the files' hashes, so there is no second list that could
drift. The log is only ever appended to. A line that cannot be read (the disk was full, somebody edited it) is
passed over and named, and stays where it is; every other run still counts.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from cohort_cli import __version__
from cohort_cli.checking.results import CheckResult, RunReport
from cohort_cli.errors import EnvironmentTrouble

SCHEMA = "cohort.results/1"


def append(path: Path, report: RunReport) -> None:
    """Add one run."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    append_line(path, {"log": SCHEMA, "time": now, **report.to_json()})


def append_line(path: Path, data: dict[str, Any]) -> None:
    """Add one object in a single write, so that two commands at once do not mix their lines."""
    line = json.dumps(data).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _torn(path):
            line = b"\n" + line  # an earlier write stopped in the middle; its line must not swallow this one
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            if os.write(file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # the disk took a part only
        finally:
            os.close(file)
    except OSError as trouble:
        raise EnvironmentTrouble(
            f"{path} cannot be written: {trouble.strerror or trouble}. What was printed is right, but not kept.",
            "Look at the folder's permissions and the free space of the disk, then run it again.",
        ) from None


def newest(
    path: Path, project: str, ids: Collection[str], tell: Callable[[str], None] = lambda line: None
) -> dict[str, CheckResult]:
    """The newest verdict on each of these checks. Reads from the end and stops when it has them all.

    `tell` hears one sentence about each line that cannot be read. Verdicts of another version of the kit,
    whose checks may be others, come without a hash, so that they count as stale.
    """
    verdicts: dict[str, CheckResult] = {}
    wanted = set(ids)
    for number, line in _from_the_end(path):
        if not wanted:
            break
        try:
            run = json.loads(line)
            if run["log"] != SCHEMA:
                raise ValueError(f"{run['log']} is not {SCHEMA}")
            if run["project"] != project:
                continue
            checks = [CheckResult.from_json(check) for check in run["checks"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as trouble:
            why = f"{type(trouble).__name__}: {trouble}"[:100]
            tell(f"{path}:{number} cannot be read and is passed over ({why}).")
            continue
        for check in checks:
            if check.id in wanted:
                wanted.discard(check.id)
                check.code_sha256 = check.code_sha256 if run.get("kit") == __version__ else ""
                verdicts[check.id] = check
    return verdicts


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """Every object of a log, newest first. Lines that cannot be read are passed over."""
    for _, line in _from_the_end(path):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def _from_the_end(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number, line), last first. A last line without a line break was cut off: left out."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    for number in range(len(lines), 0, -1):
        if lines[number - 1].strip():
            yield number, lines[number - 1]


def _torn(path: Path) -> bool:
    """Does the file end in the middle of a line?"""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # no such file, or an empty one
        return False
