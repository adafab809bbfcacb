"""Positions: attention by itself cannot tell the order of its keys, so each token is told where it stands.

B batch, T time (tokens), C = d_model.

Sources: Vaswani et al. 2017, section 3.5, https://arxiv.org/abs/1706.03762 (sinusoidal);
Radford et al. 2019 (GPT-2: one learned vector for each position).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def sinusoidal_positions(max_len: int, d_model: int) -> Tensor:
    """(max_len, d_model) table: each pair of columns is a clock hand, each pair slower than the one before.

    table[p, 2i] = sin(p / 10000^(2i / d_model)),  table[p, 2i + 1] = cos(the same).  d_model is even.
    """
    position = torch.arange(max_len).unsqueeze(1)  # (max_len, 1)
    even = torch.arange(0, d_model, 2)  # (d_model / 2,): the 2i of the formula
    angle = position / 10_000.0 ** (even / d_model)  # (max_len, d_model / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)  # sin, cos, sin, cos, ...


class LearnedPositions(nn.Module):
    """Adds a learned vector for each position. (B, T, C) -> (B, T, C).

    Raises ValueError if T > max_len.
    """

    def __init__(self, max_len: int, d_model: int) -> None:
        super().__init__()
        self.max_len = max_len
        self.wpe = nn.Embedding(max_len, d_model)

    def forward(self, x: Tensor) -> Tensor:
        T = x.size(1)
        if self.max_len < T:
            raise ValueError(f"the sequence has {T} tokens, max_len is {self.max_len}")
        positions = self.wpe(torch.arange(T, device=x.device))  # (T, C)
        return x + positions  # (B, T, C) + (T, C): the same positions for every row of the batch
