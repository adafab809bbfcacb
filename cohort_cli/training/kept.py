"""Which checkpoints a run has, read without torch: `cohort runs`, the report and `cohort generate` ask this.

A checkpoint counts as whole if its manifest is, and every file has the size that stands there. `checked=True` compares
checksums as well, which reads every byte. What is written, and how, stands in checkpoint.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.training import seal
from cohort_cli.training.runs import RunFolder

SCHEMA = "cohort.checkpoint/1"
_NAME = re.compile(r"step-(\d{8,})")


class Kept(NamedTuple):
    path: Path
    step: int
    bytes: int
    is_best: bool  # of its run, when it was written
    problem: str  # what is wrong with it, or nothing


def checkpoints(folder: RunFolder, *, checked: bool = False) -> list[Kept]:
    """All of them, newest first, whole or not."""
    found = []
    for path in folder.checkpoints.iterdir() if folder.checkpoints.is_dir() else ():
        if (match := _NAME.fullmatch(path.name)) and path.is_dir():
            found.append(_look(path, int(match[1]), checked))
    return sorted(found, key=lambda kept: kept.step, reverse=True)


def best(found: list[Kept]) -> Kept | None:
    """The whole one with the lowest validation loss: the newest that was the best when it was written."""
    return next((kept for kept in found if kept.is_best and not kept.problem), None)


def newest(found: list[Kept]) -> Kept | None:
    return next((kept for kept in found if not kept.problem), None)


def saved_step(folder: RunFolder) -> int:
    """From where a run goes on: the step of its newest whole checkpoint; 0 without one."""
    found = newest(checkpoints(folder))
    return found.step if found else 0


def choose(folder: RunFolder, which: str) -> Kept:
    """`which`: "best" (the newest where none was measured), "newest", or a step. Raises UsageError if there is none."""
    found = checkpoints(folder)
    name, see = folder.root.name, f"cohort runs show {folder.root.name}"
    if not found:
        raise UsageError(f"The run {name} has no checkpoint yet.", see)
    if which.isdecimal():
        chosen = next((kept for kept in found if kept.step == int(which)), None)
        if chosen is None:
            steps = ", ".join(str(kept.step) for kept in found)
            raise UsageError(f"The run {name} has no checkpoint of step {which}.", f"It has: {steps}")
    elif which in ("best", "newest"):
        chosen = (best(found) if which == "best" else None) or newest(found)
    else:
        raise UsageError(f"{which!r} is no checkpoint.", "Known: best, newest, or the number of a step.")
    if chosen is None or chosen.problem:
        damaged = chosen or found[0]
        raise UsageError(f"{damaged.path} is damaged: {damaged.problem}.", f"Choose another one: {see}")
    return chosen


def _look(path: Path, step: int, checked: bool) -> Kept:
    try:
        manifest = seal.read(path, SCHEMA)
        sizes = {name: int(facts["bytes"]) for name, facts in manifest["files"].items()}
        is_best = manifest["is_best"] is True
    except (ValueError, KeyError, TypeError) as error:
        return Kept(path, step, _size(path), False, str(error) or "its manifest cannot be read")
    if checked:
        problem = "; ".join(seal.problems(path, SCHEMA))
    else:
        wrong = [name for name, size in sizes.items() if _size_of_file(path / name) != size]
        problem = f"{', '.join(wrong)} is missing or has another size" if wrong else ""
    return Kept(path, step, _size(path), is_best, problem)


def _size(path: Path) -> int:
    return sum(max(0, _size_of_file(file)) for file in path.iterdir())


def _size_of_file(path: Path) -> int:
    """-1: there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
