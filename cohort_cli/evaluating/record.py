"""What an evaluation leaves in the run folder, and how a stopped one goes on.

    runs/NAME/evaluations/
      step-00000300-hellaswag-1f0c9a2b.jsonl   first what was asked, then one line per scored item
      step-00000300-hellaswag-1f0c9a2b.json    the summary, once all items are scored

The last part of the name stands for the question: the items, the settings, the weights. A line is written when its item
is scored, so the same question, asked again, is answered from there. No torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cohort_cli.errors import UsageError
from cohort_cli.evaluating.items import Scored
from cohort_cli.training import disk, guards, seal
from cohort_cli.training.runs import RunFolder

SCHEMA = "cohort.items/1"
FOLDER = "evaluations"


class Record:
    """The scored items of one benchmark. `asked`: everything that, if it changes, changes a score."""

    def __init__(self, run: RunFolder, checkpoint: Path, name: str, asked: dict[str, Any]) -> None:
        weights = seal.sha256(checkpoint / seal.MANIFEST)
        self._head = json.dumps({"schema": SCHEMA, "benchmark": name, "checkpoint": weights, **asked})
        question = hashlib.sha256(self._head.encode()).hexdigest()[:8]
        self.path = run.root / FOLDER / f"{checkpoint.name}-{name}-{question}.jsonl"
        self.summary_path = self.path.with_suffix(".json")
        self._lock: Any = None

    def begin(self, ids: Sequence[str]) -> list[Scored]:
        """The items that are scored already: the first so many of these. `add` takes the rest.

        Raises UsageError while another process scores the same.
        """
        self._take()
        kept = self._kept()
        if [one.id for one in kept] != list(ids[: len(kept)]):
            kept = []
        with _disk(self.path):
            lines = [self._head, *map(_line, kept)]
            disk.replace_bytes(self.path, ("\n".join(lines) + "\n").encode("utf-8"))
        return kept

    def add(self, scored: Sequence[Scored]) -> None:
        with _disk(self.path):
            for one in scored:
                disk.append_line(self.path, _line(one).encode("utf-8"))

    def finish(self, summary: dict[str, Any]) -> None:
        with _disk(self.summary_path):
            disk.replace_bytes(self.summary_path, (json.dumps(summary, indent=1) + "\n").encode("utf-8"))

    def _take(self) -> None:
        import filelock

        with _disk(self.path):
            disk.make_folders(self.path.parent)
            self._lock = filelock.FileLock(self.path.with_suffix(".lock"), timeout=0)
            try:
                self._lock.acquire()
            except filelock.Timeout:
                raise UsageError("Another process scores the same right now.", "Wait for it.") from None

    def _kept(self) -> list[Scored]:
        try:
            head, *lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return []
        found: list[Scored] = []
        for line in lines if head == self._head else []:
            try:
                found.append(Scored(**json.loads(line)))
            except (ValueError, TypeError):  # torn: whoever wrote it was stopped
                break
        return found


def _line(one: Scored) -> str:
    return json.dumps(one._asdict())


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise guards.disk_trouble(error, str(path)) from None
