"""One optimizer step, many times: accumulation, mixed precision, clipping, and the loop around them.    Step: loop

B batch (sequences of one optimizer step), T time (tokens), V = vocab_size. A model is called as model(x), x (B, T)
int64, and gives (logits, None), logits (B, T, V). A loss is in nats per token.

Sources: Pascanu et al. 2013, algorithm 1 (clipping the norm), https://arxiv.org/abs/1211.5063; Micikevicius et al. 2018
(mixed precision), https://arxiv.org/abs/1710.03740; CS336, assignment 1, sections 4 and 5.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass
class TrainConfig:
    """What a run needs to know, apart from the model and the data. Given complete."""

    steps: int  # optimizer steps of the whole run
    batch_size: int  # B: sequences of one optimizer step
    micro_batch_size: int  # sequences of one forward pass; less memory, same result
    block_size: int  # T: tokens of a sequence
    max_lr: float = 6e-4
    min_lr: float = 6e-5
    warmup_steps: int = 0
    weight_decay: float = 0.1
    max_norm: float = 1.0  # gradients are clipped to this length
    dtype: str = "float32"  # or "bfloat16": what the forward pass computes in
    device: str = "cpu"
    seed: int = 0  # of the order of the data
    eval_every: int = 0  # steps between two evaluations; 0: none
    eval_batches: int = 1  # batches of one evaluation


@dataclass
class TrainResult:
    """What came of a run. Given complete."""

    losses: list[float] = field(default_factory=list)  # of each step that this call made, in order
    val_losses: dict[int, float] = field(default_factory=dict)  # steps done -> validation loss


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> Tensor:
    """Shorten the gradient if it is too long, and return how long it was. The result is a tensor with one number.

    All gradients together are one long vector; its L2 norm is the root of the sum of all squares, over all parameters.
    If the norm is above max_norm, every p.grad is multiplied in place by the same factor, so that the norm becomes
    max_norm (up to 1e-5 of it). Otherwise no gradient changes at all. What is returned is the norm before clipping.
    Parameters whose grad is None are left out; without any gradient the norm is 0. `params` may be a generator, which
    can be gone through only once.
    """
    raise NotImplementedError("loop: clip_grad_norm")


def autocast_for(device_type: str, dtype: str) -> AbstractContextManager[Any]:
    """The context for a forward pass that computes in `dtype`, for `with autocast_for("cpu", "bfloat16"):`.

    "bfloat16": torch.autocast, in which matrix products are computed in bfloat16 while the weights themselves stay
    float32. "float32": nothing is changed. Raises ValueError for another word. (float16 would need a scaled loss.)
    """
    raise NotImplementedError("loop: autocast_for")


def accumulate(
    model: nn.Module,
    micro_batches: Sequence[tuple[Tensor, Tensor]],
    *,
    ignore_index: int = -100,
    dtype: str = "float32",
) -> float:
    """Add the gradient of a whole batch to p.grad, one micro-batch at a time. Returns the loss of the whole batch.

    micro_batches: (x, y), both (b, T) int64; b and T may differ from one to the next. A target that is `ignore_index`
    does not count. The loss is the sum of the cross-entropy over all targets that count, in all micro-batches,
    divided by their number. The gradient that is added is this loss's: the same as if all had gone through the model
    at once, also when one micro-batch has more targets that count than another. backward runs after each forward
    pass, so that only one micro-batch is in memory. A gradient that was there before stays in the sum.

    dtype: the forward pass runs under autocast_for. The loss is computed from logits in float32 (or in float64, if that
    is what they are), and weights and gradients keep their dtype. Raises ValueError if no target counts.
    """
    raise NotImplementedError("loop: accumulate")


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    *,
    lr: float,
    micro_batch_size: int,
    max_norm: float,
    ignore_index: int = -100,
    dtype: str = "float32",
) -> dict[str, float]:
    """One optimizer step on one batch. x, y (B, T) int64. Returns {"loss": …, "grad_norm": …}.

    In this order: every parameter group gets the learning rate `lr`; old gradients are dropped; the gradient of the
    whole batch is accumulated from micro-batches of micro_batch_size rows, the last one smaller if B is no multiple of
    it; the gradient is clipped to max_norm; the optimizer makes one step.
    loss: of the whole batch, before the step. grad_norm: before clipping. Both are Python floats.
    """
    raise NotImplementedError("loop: train_step")


def train(
    config: TrainConfig,
    model: nn.Module,
    train_data: np.ndarray,
    val_data: np.ndarray,
    *,
    callbacks: Sequence[Callable[[dict[str, Any]], None]] = (),
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
    start_step: int = 0,
) -> TrainResult:
    """Train `model` with the optimizer steps start_step, start_step + 1, …, config.steps - 1. It is changed in place.

    Each step: one batch of config.batch_size windows of train_data from your get_batch; the learning rate that your
    lr_at gives for this step, with max_steps = config.steps; one train_step, in training mode. train_data and val_data
    are rows of token ids, (N,), as get_batch takes them.

    Evaluation: if eval_every is above 0, then whenever the number of steps done (the step's number plus one) is a
    multiple of it, and after the last step: your estimate_loss on eval_batches batches of val_data, of the same size,
    drawn with a new generator seeded with config.seed. So each evaluation sees the same batches, and the training goes
    on as if there had been none.

    Callbacks are called in order after each step with one dict: step, loss, lr, grad_norm, and val_loss if there was
    an evaluation after this step.

    optimizer, generator: those of an earlier run that goes on; None makes them, with configure_optimizers (lr = max_lr,
    weight_decay) and a torch.Generator seeded with config.seed, once, from which all training batches are drawn.
    """
    raise NotImplementedError("loop: train")
