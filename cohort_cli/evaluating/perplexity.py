"""What a trained model scores on its whole held-out split, and how sure that is.

A unit is what stands for itself: a window of a text, an instruction, a text with its label, a pair of answers. The
standard error treats units as independent draws; windows of one text are that only roughly.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from cohort_cli.evaluating.statistics import mean_and_error
from cohort_cli.training.tasks import Batch

if TYPE_CHECKING:
    from cohort_cli.training.play import Played

SECONDS = 1.0  # between two words about the progress
UNITS = {"pretrain": "windows", "instruct": "instructions", "classify": "texts", "dpo": "pairs"}


@torch.no_grad()
def evaluate(played: Played) -> Iterator[dict[str, Any]]:
    """Events: "progress" now and then, and the "result". Losses are nats per counted target."""
    task, config, model, where = played.task, played.config, played.model, played.device
    units = [unit for batch in task.validation() for unit in split(batch, config.task)]
    losses: list[float] = []
    said = time.monotonic()
    for unit in units:
        losses.append(float(task.loss(model, tuple(tensor.to(where) for tensor in unit.tensors))))
        if time.monotonic() - said > SECONDS:
            said = time.monotonic()
            yield {"event": "progress", "what": "scored", "done": len(losses), "of": len(units)}
    weights = [unit.counted for unit in units]
    loss, error = mean_and_error(losses, weights)
    found: dict[str, Any] = {"loss": loss, "loss_error": error}
    for name, value in task.report(loss).items():
        # perplexity is exp(loss), whose slope is itself; the others are the loss times a number
        slope = value if name == "perplexity" else value / loss if loss else 0.0
        found |= {name: value, f"{name}_error": None if error is None else slope * error}
    for name, value in task.score(model, where).items():
        found[name] = value
        if name == "accuracy":
            found["accuracy_error"] = math.sqrt(value * (1 - value) / len(units))
    yield {
        "event": "result",
        **found,
        "targets": sum(weights),
        "count": len(units),
        "units": UNITS[config.task],
    }


def split(batch: Batch, task: str) -> Iterator[Batch]:
    """The units of a batch. Rows are padded on the right, which changes nothing for what comes before."""
    rows = len(batch.tensors[0])
    pairs = rows // 2  # dpo: the chosen answers come first, then the rejected
    groups = [[n, n + pairs] for n in range(pairs)] if task == "dpo" else [[n] for n in range(rows)]
    for group in groups:
        tensors = tuple(tensor[group] for tensor in batch.tensors)
        counted = int((tensors[1] >= 0).sum()) if task in ("pretrain", "instruct") else 1
        yield Batch(tensors, counted)
