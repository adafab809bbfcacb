"""The ladder: models of the same text on one axis, each better than the one below it. No torch here.

uniform    every character alike: ln V nats
unigram    how often each character occurs
bigram     which character follows which
trigram    which follows which two
MLP        a small network that looks back three characters (the warm-up's unit W3)
GPT        the best of the runs that were trained on this text

The text is the embedded corpus. Models learn from its first nine tenths and are scored on the last. A rung is the
member's once the step that builds it is ok on exactly this code; then that very code is run. A counted value is known
exactly, so the kit counts too, and says so if the two differ.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import CohortError
from cohort_cli.training import corpus
from cohort_cli.training.baselines import UNKNOWN, held_out
from cohort_cli.training.config import Data

SCHEMA = "cohort.ladder/1"
CLIMB = "cohort_cli.evaluating.climb"  # the process that runs the code of a rung
EXACT = 1e-6  # nats, between two ways to count the same
MOST = 1e6  # nats: a network that is worse than this has lost its way
GRAMS = {"unigram": 1, "bigram": 2, "trigram": 3}

Progress = Callable[[str, int, int], None]


class Text(NamedTuple):
    """The corpus as every rung sees it: characters that the training part lacks are one character, UNKNOWN."""

    train: str
    validation: str

    @property
    def characters(self) -> int:
        """V, the size of the alphabet."""
        return len(set(self.train) | set(self.validation))

    @property
    def identity(self) -> str:
        """Changes with the text, which comes with Python and may be another one in another version."""
        return hashlib.sha256(f"{self.train}\0{self.validation}".encode()).hexdigest()[:16]


class Rung(NamedTuple):
    """One model. `nats` per character of held-out text; None: not climbed, and `says` tells what leads there."""

    name: str
    nats: float | None
    says: str
    mine: bool = False


class Climbing(NamedTuple):
    """Whose code is run. `open_step` names, for a step of the warm-up, what is still to do ("" for nothing)."""

    folder: Path
    mine: bool
    open_step: Callable[[str], str]


# rung -> the steps of the warm-up that build it, and the file that holds it
STEPS = {
    "unigram": (("counts", "nll"), "ngrams.py"),
    "bigram": (("counts", "nll"), "ngrams.py"),
    "trigram": (("counts", "nll"), "ngrams.py"),
    "MLP": (("modules",), "modules.py"),
}


def text() -> Text:
    """Raises EnvironmentTrouble where Python came without its documentation."""
    train, validation = held_out(corpus.load(), Data())
    known = set(train)
    return Text(train, "".join(letter if letter in known else UNKNOWN for letter in validation))


def bits_per_byte(nats: float, scored: str) -> float:
    """Nats per character of a text as bits per byte of its UTF-8."""
    return nats * len(scored) / math.log(2) / len(scored.encode())


def counted(name: str, about: Text) -> float:
    """What counting gives, by the kit's own count: nats per character."""
    return corpus.ngram_loss(GRAMS[name], about.train, about.validation)


class Store:
    """Values that were reached before, by what they depend on: one training for each version of the code."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.values: dict[str, float] = {}
        try:
            table = json.loads(path.read_bytes()) if path is not None else {}
            if isinstance(table, dict) and table.get("schema") == SCHEMA:
                self.values = {
                    key: float(value) for key, value in table["values"].items() if math.isfinite(value)
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # it can be made again

    def get(self, key: str) -> float | None:
        return self.values.get(key)

    def put(self, key: str, value: float) -> None:
        from cohort_cli.training import disk

        self.values[key] = value
        if self.path is not None:
            table = {"schema": SCHEMA, "values": self.values}
            with contextlib.suppress(OSError):  # it is a convenience: the value is shown all the same
                disk.make_folders(self.path.parent)
                disk.replace_bytes(self.path, (json.dumps(table, indent=1) + "\n").encode())


def climb(who: Climbing, about: Text, store: Store, tell: Progress) -> Iterator[Rung]:
    """The rungs that a member's (or the kit's) warm-up builds, from the bottom. `tell` hears about long work.

    Raises CohortError for what the code raises, and for a count that is not right.
    """
    from cohort_cli.fingerprint import step_sha256
    from cohort_cli.training.play_client import Process

    yield Rung("uniform", math.log(about.characters), f"all {about.characters} characters alike")
    whose = "your" if who.mine else "the kit's"
    with contextlib.ExitStack() as stack:
        process: Process | None = None
        for name, (steps, file) in STEPS.items():
            to_do = [lead for step in steps if (lead := who.open_step(step))]
            if to_do:
                yield Rung(name, None, to_do[0])
                continue
            key = f"{name} {step_sha256(who.folder, file)} {about.identity}"
            nats = store.get(key)
            if nats is None:
                process = process or stack.enter_context(Process(CLIMB, [str(who.folder)], threads=1))
                for event in process.ask(rung=name, n=GRAMS.get(name, 0)):
                    if event["event"] == "progress":
                        tell(name, event["done"], event["of"])
                store.put(key, _checked(name, event["nats"], about, who))
                nats = float(event["nats"])
            nats = _checked(name, nats, about, who)
            yield Rung(name, nats, f"{whose} {file}", who.mine)


def _checked(name: str, nats: float, about: Text, who: Climbing) -> float:
    """The value, if it can be one: a counted one is known, and a loss is a number above 0."""
    steps, file = STEPS[name]
    repair = f"cohort check project0 {' '.join(steps)}"
    if not (math.isfinite(nats) and 0 <= nats < MOST):
        raise CohortError(
            f"{who.folder / file}: the loss of the {name} is {nats:g}; that is no loss.", repair
        )
    if name in GRAMS and abs(nats - counted(name, about)) > EXACT:
        raise CohortError(
            f"{who.folder / file}: heldout_nll gives {nats:.6f} nats for the {name} model; counting gives "
            f"{counted(name, about):.6f}.",
            repair,
        )
    return nats


# --- the top: a GPT --------------------------------------------------------------------------------------------


def gpt(store: Store, tell: Progress) -> Rung:
    """The best of the runs on this text, scored on the whole held-out part."""
    from cohort_cli.evaluating import MODULE
    from cohort_cli.training import kept, seal
    from cohort_cli.training.places import runs_home
    from cohort_cli.training.play_client import Player
    from cohort_cli.training.runs import all_runs

    candidates = []
    for run in all_runs(runs_home()):
        data = run.config().data
        best = kept.best(kept.checkpoints(run))
        measured = run.best()
        same = run.config().task == "pretrain" and data == Data(shard_tokens=data.shard_tokens)
        if same and best is not None and measured is not None:
            candidates.append((float(measured["validation_loss"]), run.created(), run, best))
    if not candidates:
        return Rung("GPT", None, "cohort train project3 --smoke")
    _, _, run, best = min(candidates, key=lambda found: found[:2])
    key = f"GPT {seal.sha256(best.path / seal.MANIFEST)}"
    nats = store.get(key)
    if nats is None:
        with Player(run, best, MODULE, "data") as player:
            for event in player.ask(on="perplexity", place="", limit=0, shots=0, contamination=False):
                if event["event"] == "progress":
                    tell("GPT", event["done"], event["of"])
        nats = float(event["loss"])
        store.put(key, nats)
    if not (math.isfinite(nats) and 0 <= nats < MOST):
        raise CohortError(
            f"The loss of the run {run.root.name} is {nats:g}; that is no loss.", "cohort runs list"
        )
    mine = bool({"model", "gpt2"} & set(run.parts()))
    return Rung("GPT", nats, f"{run.root.name}, step {best.step:,}", mine)
