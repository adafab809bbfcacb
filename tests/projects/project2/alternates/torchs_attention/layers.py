"""Norms as functions in float64 or float32, whatever comes in; standard deviation instead of variance."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x):
        std, mean = torch.std_mean(x, dim=-1, correction=0, keepdim=True)
        y = (x - mean) / torch.hypot(std, torch.full_like(std, math.sqrt(self.eps)))
        y = y * self.weight
        return y if self.bias is None else torch.add(y, self.bias)


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return self.weight * (x * (x.square().mean(-1, True) + self.eps).rsqrt())


def gelu(x, approximate="tanh"):
    if approximate == "tanh":
        cdf = 0.5 + 0.5 * torch.tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x.square()))
    elif approximate == "none":
        cdf = torch.distributions.Normal(0.0, 1.0).cdf(x)
    else:
        raise ValueError(f"approximate={approximate!r}")
    return cdf * x


class MLP(nn.Module):
    def __init__(self, d_model, d_ff=None, activation="gelu", dropout=0.0, bias=True):
        super().__init__()
        if activation not in ("gelu", "relu"):
            raise ValueError(f"activation={activation!r}")
        width = d_ff or 4 * d_model
        self.activation, self.dropout = activation, dropout
        self.c_fc = nn.Linear(d_model, width, bias=bias)
        self.c_proj = nn.Linear(width, d_model, bias=bias)

    def forward(self, x):
        x = self.c_fc(x)
        x = F.gelu(x, approximate="tanh") if self.activation == "gelu" else F.relu(x)
        return F.dropout(self.c_proj(x), p=self.dropout, training=self.training)
