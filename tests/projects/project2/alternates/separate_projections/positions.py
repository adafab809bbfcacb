"""Sines and cosines chosen by a where; the learned table called pos_emb."""

import torch
from torch import nn


def sinusoidal_positions(max_len, d_model):
    position = torch.arange(max_len, dtype=torch.float64)[:, None]
    channel = torch.arange(d_model, dtype=torch.float64)[None, :]
    angle = position * torch.pow(10000.0, -2 * torch.div(channel, 2, rounding_mode="floor") / d_model)
    return torch.where(channel % 2 == 0, torch.sin(angle), torch.cos(angle)).float()


class LearnedPositions(nn.Module):
    def __init__(self, max_len, d_model):
        super().__init__()
        self.max_len = max_len
        self.pos_emb = nn.Embedding(max_len, d_model)
        self.register_buffer("ids", torch.arange(max_len))

    def forward(self, x):
        length = x.size(1)
        if length > self.max_len:
            raise ValueError("the sequence is too long")
        ids = self.ids[:length].expand(x.size(0), length)
        return x + self.pos_emb(ids)
