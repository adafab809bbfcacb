"""The table entry by entry."""

import math

import torch
from torch import nn


def sinusoidal_positions(max_len, d_model):
    rows = []
    for p in range(max_len):
        row = []
        for i in range(d_model):
            angle = p / 10000 ** (2 * (i // 2) / d_model)
            row.append(math.sin(angle) if i % 2 == 0 else math.cos(angle))
        rows.append(row)
    return torch.tensor(rows)


class LearnedPositions(nn.Module):
    def __init__(self, max_len, d_model):
        super().__init__()
        self.wpe = nn.Embedding(max_len, d_model)

    def forward(self, x):
        if x.shape[1] > self.wpe.num_embeddings:
            raise ValueError("too many tokens")
        return x + self.wpe.weight[: x.shape[1]]
