"""Runs the code of one rung of the ladder:  python -m cohort_cli.evaluating.climb FOLDER_OF_PROJECT_0

One JSON object per line, in and out, as in training/play.py:

    {"rung": "bigram", "n": 2}   -> "result": {"nats"}
    {"rung": "MLP"}              -> "progress" ..., "result": {"nats"}

The MLP is trained by the folder's own `train`, on the training part of the text. It is scored here, from its logits, so
the folder's own idea of a score decides nothing. B batch, T context, V characters.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from cohort_cli.errors import CohortError
from cohort_cli.evaluating import ladder
from cohort_cli.training.parts import where
from cohort_cli.training.stop import die_with_parent

# The MLP of the ladder has the sizes of makemore, part 2: https://www.youtube.com/watch?v=TCH_1BHY58I
CONTEXT, D_EMBED, D_HIDDEN = 3, 10, 200
STEPS, BATCH, RATE, SEED = 4000, 256, 4e-3, 1
SCORED_AT_ONCE = 4096
SECONDS = 2.0  # between two words about the progress


def answer(folder: Path, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    text = ladder.text()
    if request["n"]:
        yield {"event": "result", "nats": ngram(request["n"], text)}
    else:
        yield from mlp(text)


def ngram(n: int, text: ladder.Text) -> float:
    ngrams = importlib.import_module("ngrams")
    vocabulary = ngrams.vocabulary(text.train + text.validation)
    train, validation = (ngrams.encode(part, vocabulary) for part in (text.train, text.validation))
    return float(ngrams.heldout_nll(train, validation, n, len(vocabulary)))


def mlp(text: ladder.Text) -> Iterator[dict[str, Any]]:
    modules = importlib.import_module("modules")
    letters = sorted(set(text.train) | set(text.validation))
    number = {letter: index for index, letter in enumerate(letters)}
    train, validation = (
        torch.tensor([number[letter] for letter in part]) for part in (text.train, text.validation)
    )
    torch.manual_seed(SEED)
    model = modules.MLP(len(letters), CONTEXT, D_EMBED, D_HIDDEN)
    steps = Counted(model)
    modules.train(model, train, STEPS, BATCH, RATE, torch.Generator().manual_seed(SEED))
    steps.remove()
    yield {"event": "result", "nats": score(model, validation)}


@torch.no_grad()
def score(model: Any, ids: torch.Tensor) -> float:
    """Mean nats over every character that has CONTEXT characters before it."""
    model.eval()
    windows = ids.unfold(0, CONTEXT + 1, 1)  # (N, T + 1)
    total = 0.0
    for some in windows.split(SCORED_AT_ONCE):
        logits = model(some[:, :-1])  # (B, V)
        if logits.ndim != 2 or len(logits) != len(some):
            raise CohortError(f"MLP gave logits of shape {tuple(logits.shape)}, not ({len(some)}, V).")
        total += float(functional.cross_entropy(logits.double(), some[:, -1], reduction="sum"))
    return total / len(windows)


class Counted:
    """Says on the way how many training steps there have been: one for each batch that the model is called with."""

    def __init__(self, model: Any) -> None:
        self.done = 0
        self.said = time.monotonic()
        self.handle = model.register_forward_hook(self.count)

    def count(self, model: Any, given: Any, made: Any) -> None:
        if model.training and torch.is_grad_enabled():
            self.done += 1
            if time.monotonic() - self.said > SECONDS:
                self.said = time.monotonic()
                tell({"event": "progress", "done": min(self.done, STEPS), "of": STEPS})

    def remove(self) -> None:
        self.handle.remove()


# --- the process -----------------------------------------------------------------------------------------------

_events = sys.stdout


def tell(event: dict[str, Any]) -> None:
    print(json.dumps(event), file=_events, flush=True)


def main() -> int:
    global _events
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks; it ends this process
    folder = Path(sys.argv[1]).resolve()
    _events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the folder's code prints is no event
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(
        os.open(os.devnull, os.O_RDONLY), 0
    )  # and it is asked nothing: input() and breakpoint() end at once
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.path.insert(0, str(folder))
    try:
        tell({"event": "ready"})
        for line in requests:
            try:
                for event in answer(folder, json.loads(line)):
                    tell(event)
            except CohortError as trouble:
                tell(_trouble(trouble.message, trouble.repair))
            except Exception as error:
                place = where(error, {"": str(folder)}) or str(folder)
                tell(_trouble(f"{place}: {type(error).__name__}: {error}", "cohort check project0"))
    except BrokenPipeError:  # nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), _events.fileno())
    return 0


def _trouble(message: str, repair: str) -> dict[str, Any]:
    return {"event": "error", "message": message, "repair": repair or "cohort check project0", "exit": 1}


if __name__ == "__main__":
    sys.exit(main())
