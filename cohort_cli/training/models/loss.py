"""Cross-entropy of a language model's head, without ever holding all logits.

N tokens, C = d_model, V = vocab_size.

With V = 50,257 the logits of 8,192 tokens take 1.6 GB, their softmax as much again, and so do the gradients. But the
gradient of cross-entropy is known as soon as the logits are: softmax(logits) - one_hot(target). So this function
takes some rows at a time, makes their logits, turns these into the gradient in the same memory, multiplies it on to
the gradients of x and of the head's matrix, and forgets it. The backward pass only hands out what is already there.

The same idea, for GPUs: Hsu et al. 2024 (Liger Kernel), https://arxiv.org/abs/2410.10989.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cohort_cli.training.models.linear import linear

ROWS = 256  # at a time: enough for a fast matrix product, little enough to stay small


def linear_cross_entropy(x: Tensor, weight: Tensor, targets: Tensor, rows: int = ROWS) -> Tensor:
    """The mean of -log softmax(x @ weight^T)[target] over all targets that are not negative, in nats.

    x (..., C), weight (V, C), targets (...) int64  ->  a scalar, at least float32. A negative target is ignored; if
    all are, the loss is 0 and so is its gradient. Inside autocast the products are made in autocast's number format.
    backward() works once for each call; a second time raises RuntimeError.
    """
    x, targets = x.flatten(0, -2), targets.flatten()  # (N, C) and (N,)
    counted = targets >= 0
    if not counted.all():
        x, targets = x[counted], targets[counted]
    if len(targets) == 0:
        return (x.sum() + weight.sum()) * 0.0  # still a part of the graph, as backward() expects
    make_gradient = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return _LinearCrossEntropy.apply(x, weight, targets, rows, make_gradient)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, rows: int, make_gradient: bool
    ) -> Tensor:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        need_x, need_weight = ctx.needs_input_grad[:2]
        grad_x = torch.empty_like(x) if need_x else None
        grad_weight = None
        wide = torch.promote_types(dtype, torch.float32)  # what sums are made in
        loss = x.new_zeros((), dtype=wide)
        with torch.autocast(device, enabled=False):
            w, share = weight.to(dtype), 1.0 / len(x)
            for start in range(0, len(x), rows):
                part = slice(start, start + rows)
                a, target = x[part].to(dtype), targets[part, None]  # (rows, C) and (rows, 1)
                logits = linear(a, w).to(wide)  # (rows, V)
                torch.log_softmax(logits, dim=-1, out=logits)  # in the same memory
                loss -= logits.gather(1, target).sum() * share
                if not make_gradient:
                    continue
                one = torch.ones_like(target, dtype=wide)
                grad = logits.exp_().scatter_add_(1, target, -one).to(dtype)  # N times that of the logits
                if grad_x is not None:
                    grad_x[part] = linear(grad, w.T) * share
                if need_weight:
                    new = linear(grad.T, (a * share).T).to(wide)  # (V, C)
                    grad_weight = new if grad_weight is None else grad_weight.add_(new)
        ctx.gradients = grad_x, grad_weight if grad_weight is None else grad_weight.to(weight.dtype)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        if ctx.gradients is None:
            raise RuntimeError(
                "linear_cross_entropy has handed out its gradients; call it again to go backward again"
            )
        grad_x, grad_weight = ctx.gradients
        ctx.gradients = None  # they are given away, so that no copy needs to be made
        for grad in (grad_x, grad_weight):
            if grad is not None:
                grad.mul_(grad_loss)
        return grad_x, grad_weight, None, None, None
