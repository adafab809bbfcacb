"""Breaking a run on purpose: which run a number means, what it showed, and where that is kept. No torch here.

A number stands for a fault. The order comes from a hash, so that neither the list of names nor their kind says anything
about it. What a run showed is kept under its number, with no name in the file or in the file's name:

    07-seed-1-steps-500.json        and right-…: the run without a fault, which a revealed one is compared with
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cohort_cli
from cohort_cli.errors import UsageError
from cohort_cli.training import corpus, places
from cohort_cli.training.baselines import UNKNOWN, held_out
from cohort_cli.training.breaking.faults import FAULTS, Fault
from cohort_cli.training.config import Data

SCHEMA = "cohort.break/1"
MODULE = "cohort_cli.training.breaking"  # the process that trains
RIGHT = 0  # in place of a number: the run that a revealed one is compared with
STEPS = 500
LAST = 20  # training losses whose mean is "the last" one

Progress = Callable[[str, int, int], None]


class Seen(NamedTuple):
    """What a run showed. Losses are nats per character; None: not finite."""

    training: list[float | None]  # of every step
    reported: list[tuple[int, float | None]]  # (step, loss) as the run itself evaluates
    honest: float | None  # at the end, by honest.py
    sample: str

    @property
    def last_training(self) -> float | None:
        """The mean of the newest; None if one of them is not finite."""
        last = [loss for loss in self.training[-LAST:] if loss is not None]
        return math.fsum(last) / len(last) if len(last) == len(self.training[-LAST:]) else None

    @property
    def last_reported(self) -> float | None:
        return self.reported[-1][1]


class Baselines(NamedTuple):
    """What to compare with, nats per character of the same held-out text."""

    uniform: float
    unigram: float
    bigram: float


@cache
def corpus_text() -> tuple[str, str]:
    """(training, validation). Characters that the training part lacks are one character."""
    train, validation = held_out(corpus.load(), Data())
    known = set(train)
    return train, "".join(letter if letter in known else UNKNOWN for letter in validation)


@cache
def baselines() -> Baselines:
    train, validation = corpus_text()
    counted = [corpus.ngram_loss(n, train, validation) for n in (1, 2)]
    return Baselines(math.log(len(set(train) | set(validation))), *counted)


# --- numbers ---------------------------------------------------------------------------------------------------


@cache
def order() -> tuple[Fault, ...]:
    """Number 1 is the first."""
    return tuple(sorted(FAULTS, key=lambda fault: hashlib.sha256(f"break {fault.name}".encode()).digest()))


def fault_of(number: int) -> Fault:
    return order()[number - 1] if number != RIGHT else FAULTS[0]


def number_of(word: str) -> int:
    """The number that a word on the command line means: itself, or a name's. Raises UsageError."""
    names = [fault.name for fault in order()]
    if word in names:
        return names.index(word) + 1
    if word.isdecimal() and 1 <= int(word) <= len(names):
        return int(word)
    raise UsageError(
        f"There is no experiment {word!r}.", f"They have the numbers 1 to {len(names)}: cohort break 1"
    )


# --- what is kept ----------------------------------------------------------------------------------------------


def play(number: int, seed: int, steps: int, tell: Progress, *, again: bool = False) -> Seen:
    """What this run showed: kept from before, or trained now in a process of its own."""
    seen = None if again else kept(number, seed, steps)
    if seen is None:
        what = "the right run" if number == RIGHT else "training"
        seen = _train({"number": number, "seed": seed, "steps": steps}, lambda *way: tell(what, *way))
        _keep(_path(number, seed, steps), seen)
    return seen


def kept(number: int, seed: int, steps: int) -> Seen | None:
    """What was trained before, if it was."""
    return _read(_path(number, seed, steps))


def _train(request: dict[str, int], tell: Callable[[int, int], None]) -> Seen:
    from cohort_cli.training.play_client import Process

    with Process(MODULE, [], threads=1) as process:
        for event in process.ask(**request):
            if event["event"] == "progress":
                tell(event["done"], event["of"])
    del event["event"]
    return _seen(event)


def _seen(table: dict[str, Any]) -> Seen:
    reported = [(int(step), loss) for step, loss in table["reported"]]
    return Seen(table["training"], reported, table["honest"], table["sample"])


def _path(number: int, seed: int, steps: int) -> Path:
    name = "right" if number == RIGHT else f"{number:02d}"
    return places.breaks_home() / f"{name}-seed-{seed}-steps-{steps}.json"


def _identity() -> str:
    """A run counts for this version of the kit, this order, and this text, which comes with Python."""
    depends = [*(fault.name for fault in order()), *corpus_text()]
    return f"{cohort_cli.__version__} {hashlib.sha256(chr(0).join(depends).encode()).hexdigest()[:16]}"


def _read(path: Path) -> Seen | None:
    try:
        table = json.loads(path.read_bytes())
        if (table["schema"], table["made"]) == (SCHEMA, _identity()):
            return _seen(table)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it can be made again
    return None


def _keep(path: Path, seen: Seen) -> None:
    """What cannot be kept is shown all the same."""
    from cohort_cli.training import disk

    table = {"schema": SCHEMA, "made": _identity(), **seen._asdict()}
    with contextlib.suppress(OSError):
        disk.make_folders(path.parent)
        disk.replace_bytes(path, (json.dumps(table) + "\n").encode())
