"""What an evaluation leaves in the run folder, and how a stopped one goes on.

    runs/NAME/evaluations/
      step-00000300-hellaswag.jsonl   first what was asked, then one line per scored item
      step-00000300-hellaswag.json    the summary, once all items are scored

A line is written when its item is scored. If the same question is asked again, the items that are there are not scored
again; if anything about it is another (the items, the settings, the weights), it starts anew. No torch.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cohort_cli.evaluating.items import Scored
from cohort_cli.training import disk, guards, seal
from cohort_cli.training.runs import RunFolder

SCHEMA = "cohort.items/1"
FOLDER = "evaluations"


class Record:
    """The scored items of one benchmark. `asked`: everything that, if it changes, changes a score."""

    def __init__(self, run: RunFolder, checkpoint: Path, name: str, asked: dict[str, Any]) -> None:
        self.path = run.root / FOLDER / f"{checkpoint.name}-{name}.jsonl"
        self.summary_path = self.path.with_suffix(".json")
        weights = seal.sha256(checkpoint / seal.MANIFEST)
        self._head = json.dumps({"schema": SCHEMA, "benchmark": name, "checkpoint": weights, **asked})

    def begin(self, ids: Sequence[str]) -> list[Scored]:
        """The items that are scored already: the first so many of these. A later line tells the rest."""
        kept = self._kept()
        if [one.id for one in kept] != list(ids[: len(kept)]):
            kept = []
        with _disk(self.path):
            disk.make_folders(self.path.parent)
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
