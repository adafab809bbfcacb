"""A bare table."""

import torch
from torch import nn


def sinusoidal_positions(max_len, d_model):
    i = torch.arange(d_model)
    a = torch.arange(max_len)[:, None] / 10000 ** ((i - i % 2) / d_model)
    return torch.sin(a + (i % 2) * torch.pi / 2)  # cos a = sin(a + pi / 2)


class LearnedPositions(nn.Module):
    def __init__(self, max_len, d_model):
        super().__init__()
        self.w = nn.Parameter(torch.randn(max_len, d_model))

    def forward(self, x):
        T = x.shape[1]
        if T > self.w.shape[0]:
            raise ValueError("T")
        return x + self.w[None, :T]
