"""The results log of a workspace: one line of JSON for each run, and nothing else remembers what passed.

`cohort status` derives everything from it and from the files' hashes, so there is no second list that could
drift. The log is only ever appended to. A line that cannot be read (the disk was full, somebody edited it) is
passed over and named, and stays where it is; every other run still counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cohort_cli import __version__, lines
from cohort_cli.checking.states import State

if TYPE_CHECKING:
    from cohort_cli.checking.results import RunReport

SCHEMA = "cohort.results/1"


class Verdict(NamedTuple):
    """What the log remembers of one check, as far as `status` asks."""

    id: str
    state: State
    rule: str | None
    code_sha256: str  # of the code that was checked


def append(path: Path, report: RunReport) -> None:
    """Add one run."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lines.append(path, {"log": SCHEMA, "time": now, **report.to_json()})


def newest(
    path: Path, project: str, ids: Collection[str], tell: Callable[[str], None] = lambda line: None
) -> dict[str, Verdict]:
    """The newest verdict on each of these checks. Reads from the end and stops when it has them all.

    `tell` hears one sentence about each line that cannot be read. Verdicts of another version of the kit,
    whose checks may be others, come without a hash, so that they count as stale.
    """
    verdicts: dict[str, Verdict] = {}
    wanted = set(ids)
    for number, line in lines.from_the_end(path):
        if not wanted:
            break
        try:
            run = json.loads(line)
            if run["log"] != SCHEMA:
                raise ValueError(f"{run['log']} is not {SCHEMA}")
            if run["project"] != project:
                continue
            checks = [_verdict(check, run["kit"]) for check in run["checks"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as trouble:
            why = f"{type(trouble).__name__}: {trouble}"[:100]
            tell(f"{path}:{number} cannot be read and is passed over ({why}).")
            continue
        for check in checks:
            if check.id in wanted:
                wanted.discard(check.id)
                verdicts[check.id] = check
    return verdicts


def newest_record(path: Path, project: str, id: str) -> dict[str, Any] | None:
    """All that the log keeps of the newest verdict on one check."""
    for run in lines.entries(path):
        if run.get("log") != SCHEMA or run.get("project") != project:
            continue
        checks = run.get("checks")
        for check in checks if isinstance(checks, list) else []:
            if isinstance(check, dict) and check.get("id") == id and isinstance(check.get("state"), str):
                return check
    return None


def _verdict(check: dict[str, Any], kit: str) -> Verdict:
    code_sha256 = check["code_sha256"] if kit == __version__ else ""
    return Verdict(check["id"], State(check["state"]), check["rule"], code_sha256)
