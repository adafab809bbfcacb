"""Positions: attention by itself cannot tell the order of its keys, so each token is told where it stands.

Step: positions.    B batch, T time (tokens), C = d_model.
"""

from __future__ import annotations

from torch import Tensor, nn


def sinusoidal_positions(max_len: int, d_model: int) -> Tensor:
    """(max_len, d_model) table: each pair of columns is a clock hand, each pair slower than the one before.

    table[p, 2i] = sin(p / 10000^(2i / d_model)),  table[p, 2i + 1] = cos(the same).  d_model is even.
    """
    raise NotImplementedError("positions: sinusoidal_positions")


class LearnedPositions(nn.Module):
    """Adds a learned vector for each position. (B, T, C) -> (B, T, C), for every T up to max_len.

    Parameter: wpe, nn.Embedding(max_len, d_model). Row p of it is added to token p of every row of the batch.
    Raises ValueError if T > max_len.
    """

    def __init__(self, max_len: int, d_model: int) -> None:
        raise NotImplementedError("positions: LearnedPositions.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("positions: LearnedPositions.forward")
