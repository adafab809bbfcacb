"""What a non-linearity is for, how to find a learning rate, and what a table would have cost.    Step: tuning

B batch, I inputs, H hidden units, O outputs, V = vocab_size, C = context.

Source: Bengio et al. 2003, "A Neural Probabilistic Language Model"; makemore part 2,
https://www.youtube.com/watch?v=TCH_1BHY58I.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from modules import MLP, train
from torch import Tensor, nn


def collapse(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
    """Two linear layers with nothing between them, as one: w (I, O) and b (O,).

    w1 (I, H), b1 (H,), w2 (H, O), b2 (O,). For every x (B, I), x @ w + b is (x @ w1 + b1) @ w2 + b2.
    """
    raise NotImplementedError("tuning: collapse")


def log_spaced(low: float, high: float, count: int) -> list[float]:
    """`count` (at least 2) learning rates from low to high, both included, each the same factor above the one before.

    log_spaced(0.001, 1.0, 4) is about [0.001, 0.01, 0.1, 1.0].
    """
    raise NotImplementedError("tuning: log_spaced")


def lr_range(
    make_model: Callable[[], MLP], ids: Tensor, lrs: Sequence[float], steps: int, batch_size: int, seed: int
) -> list[float]:
    """A short training run for each learning rate; one loss for each, in the order of `lrs`.

    Every run starts afresh: a model from make_model(), a new torch.Generator with the seed `seed`, so that all runs see
    the same windows, and your own modules.train with these steps, this batch_size and this learning rate. The loss of
    a run is the mean of its last steps // 10 losses (of the last one, if there are fewer than 10 steps). If that is
    not a finite number, it is math.inf.
    """
    raise NotImplementedError("tuning: lr_range")


def pick_lr(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """The learning rate with the lowest loss; losses[i] belongs to lrs[i]. Losses of nan or inf never win.

    Raises ValueError if no loss is finite.
    """
    raise NotImplementedError("tuning: pick_lr")


def table_size(vocab_size: int, context: int) -> int:
    """How many cells a table of counts has: one for each run of `context` ids and each id that may follow.

    The trigram model has context 2 and V to the power of 3 cells.
    """
    raise NotImplementedError("tuning: table_size")


def parameter_count(model: nn.Module) -> int:
    """How many numbers training changes: the elements of all parameters that ask for a gradient, each counted once."""
    raise NotImplementedError("tuning: parameter_count")
