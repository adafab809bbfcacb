"""Norms by einsum; GELU by the normal distribution; gains called gamma and beta."""

import math

import torch
from torch import einsum, nn


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(d_model))
        self.beta = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        d = x - einsum("...c->...", x)[..., None] / x.shape[-1]
        v = einsum("...c,...c->...", d, d)[..., None] / x.shape[-1]
        y = d * self.gamma * (v + self.eps) ** -0.5
        return y + self.beta if self.beta is not None else y


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-6):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x):
        ms = einsum("...c,...c->...", x, x)[..., None] / x.shape[-1]
        return x * self.gamma * (ms + self.eps) ** -0.5


def gelu(x, approximate="tanh"):
    match approximate:
        case "none":
            return x * torch.special.ndtr(x)
        case "tanh":
            return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    raise ValueError(f"unknown form {approximate}")


class MLP(nn.Module):
    def __init__(self, d_model, d_ff=None, activation="gelu", dropout=0.0, bias=True):
        super().__init__()
        self.f = {"gelu": gelu, "relu": torch.relu}.get(activation)
        if self.f is None:
            raise ValueError(activation)
        d_ff = d_ff if d_ff is not None else d_model * 4
        self.up, self.down = nn.Linear(d_model, d_ff, bias), nn.Linear(d_ff, d_model, bias)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        return self.drop(self.down(self.f(self.up(x))))
