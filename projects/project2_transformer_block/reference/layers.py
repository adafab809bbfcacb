"""What stands around attention in a block: two kinds of normalisation, GELU, and the two-layer network.

B batch, T time (tokens), C = d_model, d_ff = width of the hidden layer. Everything here works on the last
dimension and treats every token alone.

Sources: Ba et al. 2016 (LayerNorm), https://arxiv.org/abs/1607.06450; Zhang and Sennrich 2019 (RMSNorm),
https://arxiv.org/abs/1910.07467; Hendrycks and Gimpel 2016 (GELU), https://arxiv.org/abs/1606.08415;
Vaswani et al. 2017, section 3.3 (the network), https://arxiv.org/abs/1706.03762.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LayerNorm(nn.Module):
    """Each token gets mean 0 and variance 1, then a learned gain and bias. (..., C) -> (..., C).

    y = (x - mean) / sqrt(variance + eps) * weight + bias. The variance divides by C, not by C - 1.
    bias=False: there is no bias parameter.
    """

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        centered = x - x.mean(dim=-1, keepdim=True)  # (..., C) - (..., 1)
        variance = centered.pow(2).mean(dim=-1, keepdim=True)  # (..., 1)
        y = centered / torch.sqrt(variance + self.eps) * self.weight
        return y if self.bias is None else y + self.bias


class RMSNorm(nn.Module):
    """Each token is divided by its root mean square, then scaled by a learned gain. (..., C) -> (..., C).

    y = x / sqrt(mean(x^2) + eps) * weight. No mean is subtracted and there is no bias.
    """

    def __init__(self, d_model: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        mean_square = x.pow(2).mean(dim=-1, keepdim=True)  # (..., 1)
        return x / torch.sqrt(mean_square + self.eps) * self.weight


def gelu(x: Tensor, approximate: str = "tanh") -> Tensor:
    """x times the probability that a standard normal number is smaller than x. Same shape as x.

    approximate: "none" computes that probability with erf; "tanh" is the older approximation that GPT-2 was
    trained with (they differ by up to 0.0005). Raises ValueError for another word.
    """
    if approximate == "none":
        return 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))
    if approximate == "tanh":
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x.pow(3))))
    raise ValueError(f'approximate must be "tanh" or "none", got {approximate!r}')


class MLP(nn.Module):
    """Two linear layers with a non-linearity between them. (..., C) -> (..., C).

    d_ff: width of the hidden layer, 4 * d_model if None. activation: "gelu" (the tanh form) or "relu".
    Dropout acts on the output. Raises ValueError for an unknown activation.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int | None = None,
        activation: str = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if activation not in ("gelu", "relu"):
            raise ValueError(f'activation must be "gelu" or "relu", got {activation!r}')
        d_ff = 4 * d_model if d_ff is None else d_ff
        self.activation = gelu if activation == "gelu" else torch.relu
        self.c_fc = nn.Linear(d_model, d_ff, bias=bias)
        self.c_proj = nn.Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.c_fc(x))  # (..., C) -> (..., d_ff)
        return self.dropout(self.c_proj(hidden))  # (..., d_ff) -> (..., C)
