"""`cohort check --watch`: from saving a file to the verdict in a fraction of a second.

The judge stays, so torch is imported once. After a save, only the steps whose files changed run again; what they need
from other steps has passed on exactly that code a moment ago and is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from cohort_cli import fingerprint
from cohort_cli.catalog import Project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.results import CheckResult, RunReport
from cohort_cli.checking.states import State

QUIET_MS = 50  # an editor may write a file in several pieces; wait until it has been quiet for so long
STEP_MS = 20
START_MS = 100


def saves(folder: Path, stop: Any = None) -> Iterator[None]:
    """One item for each time that Python files below `folder` were saved, from this call on.

    Saves between two items are kept, so none is lost while a check runs.
    """
    import watchfiles

    def is_code(change: watchfiles.Change, path: str) -> bool:
        return path.endswith(".py")

    changes = watchfiles.watch(
        folder,
        watch_filter=is_code,
        debounce=QUIET_MS,
        step=STEP_MS,
        stop_event=stop,
        rust_timeout=START_MS,
        yield_on_timeout=True,
    )
    first = next(changes, None)  # watching begins here, and not when the first item is asked for
    return (None for change in chain([first], changes) if change)


class Watcher:
    """Remembers what passed on which code, and checks again what changed."""

    def __init__(
        self, judge: Judge, project: Project, work: Path, select: Iterable[str] | None, seed: int | None
    ) -> None:
        self.judge = judge
        self.project = project
        self.work = work
        words = [step.id for step in project.steps] if select is None else list(select)
        self.ids = list(dict.fromkeys(info.id for word in words for info in project.find(word)))
        self.seed = seed
        self.known: dict[str, CheckResult] = {}

    def check(self, on_result: Callable[[CheckResult], None] | None = None) -> RunReport | None:
        """Check what is not known to be current; None when nothing changed."""
        hashes = self._hashes()
        current = {id for id, result in self.known.items() if result.code_sha256 == hashes[result.step]}
        due = [id for id in self.ids if id not in current]
        due += [id for id in self.ids if id in current and self.known[id].state is State.WAIT]
        if not due:
            return None
        passed = [id for id in current if self.known[id].state is State.OK and id not in due]
        report = self.judge.check(self.project, self.work, due, self.seed, on_result, already_ok=passed)
        self.known.update({result.id: result for result in report.checks})
        return report

    def _hashes(self) -> dict[str, str]:
        return {
            step.id: fingerprint.step_sha256(self.work, *self.project.files_of(step.id))
            for step in self.project.steps
            if any(info.step == step.id for info in self.project.checks)
        }
