"""The frequencies by exp and log, filled in by slices."""

import math

import torch
from torch import nn


def sinusoidal_positions(max_len, d_model):
    pe = torch.zeros(max_len, d_model)
    p = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
    div = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
    pe[:, 0::2] = torch.sin(p * div)
    pe[:, 1::2] = torch.cos(p * div)
    return pe


class LearnedPositions(nn.Module):
    def __init__(self, max_len, d_model):
        super().__init__()
        self.table = nn.Parameter(torch.randn(max_len, d_model) * 0.02)

    def forward(self, x):
        B, T, C = x.shape
        if T > self.table.shape[0]:
            raise ValueError(f"{T} tokens, {self.table.shape[0]} positions")
        return x + self.table[:T].expand(B, T, C)
