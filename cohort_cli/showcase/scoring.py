"""How good a language model is on a text: nats for each token, bits per byte, and how sure that is.

    nats = score(model, ids, length)          (N - 1,) float64: -log p of each token but the first
    bits_per_byte(nats, sizes)                sizes (N - 1,): bytes of the text that each of these tokens stands for
    interval(nats, sizes)                     (low, high): 95 %

The judge's rules: log-softmax in float64 over all that the network names, so probabilities add up to 1; each token is
scored once, from what stands before it in its window; a number that is none ends it. T time (tokens), V = vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cohort_cli.showcase.strict import Refused

Numbers = NDArray[np.float64]
PASS = 1 << 24  # numbers of a hidden layer in a pass, more or less
LOGITS = 1 << 22  # logits that are float64 at once
BLOCK = 64  # tokens: what lies close together in a text is not independent, so whole blocks are drawn
DRAWS = 1000


@torch.no_grad()
def score(
    model: Any, ids: list[int], length: int, tell: Callable[[int], None] = lambda done: None
) -> Numbers:
    """The windows are those of training's validation: `length` targets each, the last window perhaps fewer."""
    whole = torch.tensor(ids)
    widest = max(parameter.size(0) for parameter in model.parameters() if parameter is not model.wte.weight)
    rows = max(1, PASS // (length * max(widest, 1)))  # windows in a pass
    found: list[Tensor] = []
    starts = list(range(0, len(ids) - 1, length))
    full = [start for start in starts if start + length < len(ids)]
    groups = [full[n : n + rows] for n in range(0, len(full), rows)]
    groups += [[start] for start in starts[len(full) :]]
    for group in groups:
        windows = torch.stack([whole[start : start + length + 1] for start in group])  # (B, T + 1)
        found.append(_nats(model, windows[:, :-1], windows[:, 1:]))
        tell(sum(map(len, found)))
    return torch.cat(found).numpy() if found else np.empty(0)


def _nats(model: Any, ids: Tensor, targets: Tensor) -> Tensor:
    """ids, targets (B, T) -> (B * T,) float64."""
    hidden, wanted = model.hidden(ids).flatten(0, 1), targets.flatten()  # (B * T, C)
    step = max(1, LOGITS // model.wte.weight.size(0))
    found = []
    for start in range(0, len(hidden), step):
        logits = model.lm_head(hidden[start : start + step]).double()  # (step, V)
        if not bool(logits.isfinite().all()):
            raise Refused("model.safetensors: what it computes is no finite number")
        chosen = wanted[start : start + step, None]
        found.append(-logits.log_softmax(-1).gather(1, chosen)[:, 0])
    return torch.cat(found)


def bits_per_byte(nats: Numbers, sizes: NDArray[Any]) -> float:
    """The same for every tokenizer: all nats over all bytes."""
    return float(nats.sum() / math.log(2) / sizes.sum())


def interval(nats: Numbers, sizes: NDArray[Any], seed: int = 1) -> tuple[float, float]:
    """95 % of the values that other texts of this kind would give, by drawing blocks of this one with replacement."""
    edges = np.arange(0, len(nats), BLOCK)
    by_block = np.add.reduceat(nats, edges), np.add.reduceat(sizes.astype(np.float64), edges)
    draw = np.random.default_rng(seed)
    values = []
    for _ in range(DRAWS):
        chosen = draw.integers(len(edges), size=len(edges))
        values.append(by_block[0][chosen].sum() / math.log(2) / by_block[1][chosen].sum())
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
