"""Optimizers and the learning rate's course.

AdamW: Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101. Muon: Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cohort_cli.training import config
from cohort_cli.training.device import bfloat16_is_fast


def build_optimizers(model: nn.Module, options: config.Optimizer) -> list[torch.optim.Optimizer]:
    """AdamW for all trainable parameters; or, for "muon", Muon for the matrices inside blocks and AdamW for the rest.

    Matrices and embeddings decay; biases and gains do not. Each group carries "peak", its highest learning rate:
    before each step set group["lr"] = group["peak"] * lr_share(...).
    """
    inside_blocks: list[nn.Parameter] = []
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            if options.name == "muon" and parameter.ndim == 2 and ".h." in f".{name}":
                inside_blocks.append(parameter)
            else:
                (matrices if parameter.ndim >= 2 else vectors).append(parameter)
    decay = options.weight_decay
    optimizers: list[torch.optim.Optimizer] = []
    if matrices or vectors:
        groups = [
            {"params": parameters, "weight_decay": share, "peak": options.learning_rate}
            for parameters, share in ((matrices, decay), (vectors, 0.0))
            if parameters
        ]
        optimizers.append(
            torch.optim.AdamW(
                groups,
                lr=options.learning_rate,
                betas=(options.beta1, options.beta2),
                eps=options.eps,
                fused=True,
            )
        )
    if inside_blocks:
        group = {"params": inside_blocks, "peak": options.muon_learning_rate}
        optimizers.append(Muon([group], lr=options.muon_learning_rate, weight_decay=decay))
    return optimizers


def lr_share(step: int, schedule: config.Schedule) -> float:
    """The share of the peak learning rate for a step. The first step has the number 0.

    It rises in a straight line, to 1 at step warmup_steps - 1, then falls along `shape` from 1 towards `final_share`,
    which the step after the last would have. The cosine is that of Project 3's lr_at.
    """
    warmup = schedule.warmup_steps
    if step < warmup:
        return (step + 1) / warmup
    if schedule.shape == "constant":
        return 1.0
    progress = (step - warmup) / (schedule.steps - warmup) if step < schedule.steps else 1.0
    height = 1.0 - progress if schedule.shape == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
    return schedule.final_share + (1.0 - schedule.final_share) * height


SLICE = 1 << 23  # numbers of matrices that Muon takes together


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal: every direction of the matrix moves by about the same amount.

    The same update as torch.optim.Muon. Unlike it, this one takes all matrices of a shape together, and makes its
    products in float32 where bfloat16 is not fast. Raises ValueError for a parameter that is no matrix.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        f"Muon moves matrices; got a parameter of shape {tuple(parameter.shape)}"
                    )

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            momentum, lr = group["momentum"], group["lr"]
            of_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    of_shape[parameter.shape].append(parameter)
            for (rows, columns), parameters in _slices(of_shape):
                averages = [self.average(parameter) for parameter in parameters]
                gradients = [p.grad for p in parameters if p.grad is not None]
                torch._foreach_lerp_(averages, gradients, 1.0 - momentum)
                ahead = torch._foreach_lerp(gradients, averages, momentum)  # Nesterov: one step further on
                update = orthogonalise(torch.stack(ahead)).to(parameters[0].dtype)
                torch._foreach_mul_(parameters, 1.0 - lr * group["weight_decay"])
                stretch = math.sqrt(max(1.0, rows / columns))
                torch._foreach_add_(parameters, update.unbind(), alpha=-lr * stretch)

    def average(self, parameter: Tensor) -> Tensor:
        """The running average of this parameter's gradient."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]


def _slices(of_shape: dict[torch.Size, list[Tensor]]) -> Iterator[tuple[torch.Size, list[Tensor]]]:
    """Matrices of a shape, as many together as have SLICE numbers: each step copies them several times."""
    for shape, parameters in of_shape.items():
        count = max(1, SLICE // shape.numel())
        for first in range(0, len(parameters), count):
            yield shape, parameters[first : first + count]


def orthogonalise(x: Tensor, steps: int = 5) -> Tensor:
    """(n, rows, columns): each matrix U S V^T becomes about U V^T. See Jordan et al. for the three coefficients.

    Each step applies a x + b x^3 + c x^5 to the singular values, which drives them from (0, 1] to about 1.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x  # products of the short side are smaller
    x = x.to(torch.bfloat16 if bfloat16_is_fast(x.device) else torch.float32)
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # singular values are now at most 1
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
