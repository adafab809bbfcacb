"""g and b for gain and bias; the MLP as two bare matrices."""

import math

import torch
from attention import P
from torch import nn


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.e, self.g = eps, nn.Parameter(torch.ones(d_model))
        self.b = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x):
        v, m = torch.var_mean(x, -1, correction=0, keepdim=True)
        y = (x - m) * (v + self.e).pow(-0.5)
        return torch.addcmul(self.b, y, self.g) if self.b is not None else y * self.g


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-6):
        super().__init__()
        self.e, self.g = eps, nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return x * self.g / (x.norm(dim=-1, keepdim=True).pow(2) / x.shape[-1] + self.e) ** 0.5


def gelu(x, approximate="tanh"):
    if approximate == "none":
        return x * (1 + torch.erf(x / 2**0.5)) / 2
    if approximate != "tanh":
        raise ValueError(approximate)
    u = math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)
    return x / (1 + torch.exp(-u))  # (1 + tanh(u / 2)) / 2 is the logistic function of u


class MLP(nn.Module):
    def __init__(self, d_model, d_ff=None, activation="gelu", dropout=0.0, bias=True):
        super().__init__()
        if activation not in ("gelu", "relu"):
            raise ValueError(activation)
        f = d_ff or 4 * d_model
        self.a, self.p = gelu if activation == "gelu" else torch.relu, dropout
        self.w1, self.w2 = P(d_model, f), P(f, d_model)
        self.b1 = nn.Parameter(torch.zeros(f)) if bias else 0
        self.b2 = nn.Parameter(torch.zeros(d_model)) if bias else 0

    def forward(self, x):
        return torch.dropout(self.a(x @ self.w1 + self.b1) @ self.w2 + self.b2, self.p, self.training)
