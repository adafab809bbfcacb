"""Parallel attention and MLP (as in GPT-J) with normalised queries and keys, and a learned temperature per head."""

import torch
from attention import causal_mask, softmax
from layers import MLP, LayerNorm
from torch import nn
from torch.nn import functional as F


class OwnBlock(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.norm = LayerNorm(cfg.d_model)
        self.n_heads = cfg.n_heads
        self.qkv = nn.Linear(cfg.d_model, 3 * cfg.d_model, bias=False)
        self.temperature = nn.Parameter(torch.full((cfg.n_heads, 1, 1), 10.0))
        self.out = nn.Linear(cfg.d_model, cfg.d_model)
        self.mlp = MLP(cfg.d_model, cfg.d_ff, "relu", cfg.dropout)

    def forward(self, x):
        y = self.norm(x)
        q, k, v = self.qkv(y).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        scores = self.temperature * F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT
        weights = softmax(scores.masked_fill(~causal_mask(x.shape[1]), -torch.inf), -1)
        return x + self.out((weights @ v).transpose(1, 2).flatten(2)) + self.mlp(y)
