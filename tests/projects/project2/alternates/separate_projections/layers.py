"""scale and shift for gain and bias; var by torch; the activation as a module."""

import math

import torch
from torch import nn


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(d_model))
        self.shift = nn.Parameter(torch.zeros(d_model)) if bias else 0.0

    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        var = x.var(dim=-1, keepdim=True, unbiased=False)
        norm_x = (x - mean) / torch.sqrt(var + self.eps)
        return self.scale * norm_x + self.shift


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        rms = torch.sqrt(torch.linalg.vector_norm(x, dim=-1, keepdim=True) ** 2 / x.shape[-1] + self.eps)
        return x / rms * self.scale


def gelu(x, approximate="tanh"):
    if approximate not in ("tanh", "none"):
        raise ValueError("approximate must be tanh or none")
    if approximate == "none":
        return x * 0.5 * torch.erfc(-x / math.sqrt(2))
    inner = torch.sqrt(torch.tensor(2.0 / torch.pi, dtype=x.dtype)) * (x + 0.044715 * torch.pow(x, 3))
    return 0.5 * x * (1 + torch.tanh(inner))


class GELU(nn.Module):
    def forward(self, x):
        return gelu(x)


class MLP(nn.Module):
    def __init__(self, d_model, d_ff=None, activation="gelu", dropout=0.0, bias=True):
        super().__init__()
        activations = {"gelu": GELU, "relu": nn.ReLU}
        if activation not in activations:
            raise ValueError(f"unknown activation {activation}")
        hidden = 4 * d_model if d_ff is None else d_ff
        self.fc1 = nn.Linear(d_model, hidden, bias=bias)
        self.act = activations[activation]()
        self.fc2 = nn.Linear(hidden, d_model, bias=bias)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        return self.drop(self.fc2(self.act(self.fc1(x))))
