"""A list of columns; the learned table behind an Embedding called table."""

import torch
from torch import nn


def sinusoidal_positions(max_len, d_model):
    p = torch.arange(max_len, dtype=torch.float32)
    columns = []
    for i in range(0, d_model, 2):
        angle = p * 10_000.0 ** (-i / d_model)
        columns += [angle.sin(), angle.cos()]
    return torch.stack(columns, dim=1)


class LearnedPositions(nn.Module):
    def __init__(self, max_len, d_model):
        super().__init__()
        self.table = nn.Embedding(max_len, d_model)

    def forward(self, x):
        if x.size(1) > self.table.num_embeddings:
            raise ValueError("too long")
        p = torch.ones(x.shape[:2], dtype=torch.long, device=x.device).cumsum(1) - 1
        return x + self.table(p)
