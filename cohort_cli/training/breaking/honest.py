"""The honest loss: the model sees the beginning of a text and nothing else, and says which character comes next.

This file imports nothing of the experiment: what is wrong with a run's targets, loss or mask cannot be wrong here in
the same way. Where it differs from what the run reports, the run reports something else than it should.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


@torch.no_grad()
def honest_loss(
    model: Callable[[Tensor], Tensor], ids: Sequence[int], starts: Sequence[int], most: int
) -> float:
    """Mean nats per character over beginnings of 1 to `most` characters, at each of `starts` in `ids`.

    model: ids (B, T) -> logits (B, T, V). Only the last position's logits are used, for the character behind it.
    """
    total = 0.0
    for length in range(1, most + 1):
        seen = torch.tensor([list(ids[start : start + length]) for start in starts])  # (B, length)
        logits = model(seen)[:, -1].double()  # (B, V)
        log_p = logits - logits.logsumexp(dim=-1, keepdim=True)
        for row, start in enumerate(starts):
            total -= float(log_p[row, ids[start + length]])
    mean = total / (most * len(starts))
    return mean if math.isfinite(mean) else math.inf
