"""Torch's own mean and var; the two forms of GELU side by side."""

import math

import torch
from torch import nn


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        if bias:
            self.bias = nn.Parameter(torch.zeros(d_model))
        else:
            self.register_parameter("bias", None)
        self.eps = eps

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        var = x.var(-1, keepdim=True, unbiased=False)
        out = self.weight * ((x - mean) * torch.rsqrt(var + self.eps))
        if self.bias is not None:
            out = out + self.bias
        return out


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x):
        return self.weight * x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.eps)


def gelu(x, approximate="tanh"):
    forms = {
        "tanh": lambda z: torch.tanh((2 / math.pi) ** 0.5 * (z + 0.044715 * z * z * z)),
        "none": lambda z: torch.erf(z * 0.5**0.5),
    }
    if approximate not in forms:
        raise ValueError(approximate)
    return x / 2 * (1 + forms[approximate](x))


class MLP(nn.Module):
    def __init__(self, d_model, d_ff=None, activation="gelu", dropout=0.0, bias=True):
        super().__init__()
        if activation == "gelu":
            self.act = gelu
        elif activation == "relu":
            self.act = lambda z: z.clamp(min=0)
        else:
            raise ValueError(activation)
        self.c_fc = nn.Linear(d_model, d_ff or 4 * d_model, bias)
        self.c_proj = nn.Linear(d_ff or 4 * d_model, d_model, bias)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        x = self.c_fc(x)
        x = self.act(x)
        x = self.c_proj(x)
        return self.drop(x)
