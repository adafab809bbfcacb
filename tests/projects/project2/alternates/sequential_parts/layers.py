"""nn.Sequential where it fits."""

import math

import torch
from conv1d import Conv1D
from torch import nn


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.variance_epsilon = eps
        self.g = nn.Parameter(torch.ones(d_model))
        self.b = nn.Parameter(torch.zeros(d_model), requires_grad=True) if bias else None

    def forward(self, x):
        u = x.mean(-1, keepdim=True)
        s = (x - u).pow(2).mean(-1, keepdim=True)
        x = (x - u) / torch.sqrt(s + self.variance_epsilon)
        return self.g * x + (0 if self.b is None else self.b)


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-6):
        super().__init__()
        self.g = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x):
        return torch.einsum("...c,c->...c", x, self.g) / (x.pow(2).sum(-1, keepdim=True) / x.size(-1) + self.eps).sqrt()


def gelu(x, approximate="tanh"):
    if approximate == "tanh":
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))
    if approximate == "none":
        return 0.5 * x * (1 + torch.special.erf(x / 2**0.5))
    raise ValueError(approximate)


class MLP(nn.Module):
    def __init__(self, d_model, d_ff=None, activation="gelu", dropout=0.0, bias=True):
        super().__init__()
        if activation not in ("gelu", "relu"):
            raise ValueError(f"no activation {activation}")
        hidden = d_ff or 4 * d_model
        self.net = nn.Sequential(
            Conv1D(d_model, hidden, bias),
            nn.GELU(approximate="tanh") if activation == "gelu" else nn.ReLU(),
            Conv1D(hidden, d_model, bias),
            nn.Dropout(dropout),
        )

    def forward(self, x):
        return self.net(x)
