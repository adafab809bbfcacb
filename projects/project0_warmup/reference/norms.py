"""Two ways to normalise: over the batch, channel by channel, and over the channels, token by token.

B batch, T time (tokens), d = channels.

Sources: Ioffe and Szegedy 2015 (BatchNorm), https://arxiv.org/abs/1502.03167; Ba et al. 2016 (LayerNorm),
https://arxiv.org/abs/1607.06450.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class BatchNorm1d(nn.Module):
    """Each channel gets mean 0 and variance 1 over the batch, then a learned gain and bias. (..., d) -> (..., d)."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, d: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.gamma = nn.Parameter(torch.ones(d))
        self.beta = nn.Parameter(torch.zeros(d))
        self.register_buffer("running_mean", torch.zeros(d))
        self.register_buffer("running_var", torch.ones(d))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            rows = x.reshape(-1, x.shape[-1])  # (N, d): every token of every sequence is a row
            if len(rows) < 2:
                raise ValueError("in training mode a channel needs two numbers or more to have a variance")
            mean = rows.mean(dim=0)  # (d,)
            variance = rows.var(dim=0, correction=0)
            self.remember(mean.detach(), variance.detach(), len(rows))
        else:
            mean, variance = self.running_mean, self.running_var
        return (x - mean) / torch.sqrt(variance + self.eps) * self.gamma + self.beta

    def remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics a part of the way towards this batch's."""
        unbiased = variance * count / (count - 1)
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (unbiased - self.running_var)


class LayerNorm(nn.Module):
    """Each token gets mean 0 and variance 1 over its channels, then a learned gain and bias. (..., d) -> (..., d)."""

    def __init__(self, d: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(d))
        self.beta = nn.Parameter(torch.zeros(d))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)  # (..., d) - (..., 1)
        variance = centred.pow(2).mean(dim=-1, keepdim=True)  # (..., 1)
        return centred / torch.sqrt(variance + self.eps) * self.gamma + self.beta


def influence(f: Callable[[Tensor], Tensor], x: Tensor, b: int, t: int, other: Tensor) -> Tensor:
    """How much each token's output changes when token t of sequence b is replaced by `other`. -> (B, T)."""
    changed = x.clone()
    changed[b, t] = other
    return (f(changed) - f(x)).abs().amax(dim=-1)
