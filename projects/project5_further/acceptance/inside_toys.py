"""Brought to the member's code by the checks of `inside`: two networks whose heads can be edited.

B batch, H heads, T time, D numbers per head, V vocabulary. Both are called as in the scaffold: model(ids, edit).
"""

import math

import torch
from torch import nn


class Stack(nn.Module):
    """Three layers of three heads with weights from a number. What a head says depends on its layer, place and text."""

    def __init__(self, number, V=7, H=3, D=4):
        super().__init__()
        made = torch.Generator().manual_seed(number)
        self.H, self.D = H, D
        for name, shape in {"words": (V, H * D), "into": (3, H * D, H * D), "out": (3, H * D, H * D)}.items():
            value = torch.randn(shape, generator=made, dtype=torch.float64) / shape[-1] ** 0.5
            setattr(self, name, nn.Parameter(value))
        self.words.data *= 3.0

    def forward(self, ids, edit=None):
        B, T = ids.shape
        x = self.words[ids]
        places = torch.arange(1.0, T + 1.0, dtype=x.dtype)[:, None]
        for layer in range(3):
            z = torch.tanh(x.cumsum(1) / places @ self.into[layer] + 0.3)
            z = z.view(B, T, self.H, self.D).transpose(1, 2)
            if edit is not None:
                z = edit(layer, z)
            x = x + z.transpose(1, 2).reshape(B, T, -1) @ self.out[layer]
        return x @ self.words.T, None, None


class Circuit(nn.Module):
    """Two layers, made by hand, that continue a text that repeats. Heads 0.0 and 1.0 do it; 0.1 and 1.1 do nothing.

    The residual stream has three parts of V numbers: the token, the token before it, and the prediction. Head 0.0 writes
    the second part, from the token before. Head 1.0 looks where the token before was this one, and writes the third.
    """

    def __init__(self, V=7):
        super().__init__()
        self.V = V

    def forward(self, ids, edit=None):
        B, T = ids.shape
        token = nn.functional.one_hot(ids, self.V).double()
        future = torch.ones(T, T).triu(1).bool()
        itself = torch.eye(T, dtype=torch.float64).expand(B, T, T)
        before = itself.roll(-1, -1).tril()
        z = torch.stack([before @ token, itself @ token], 1)
        if edit is not None:
            z = edit(0, z)
        previous = z[:, 0]
        looks = (50.0 * token @ previous.mT).masked_fill(future, -math.inf).softmax(-1)
        z = torch.stack([looks @ token, itself @ token], 1)
        if edit is not None:
            z = edit(1, z)
        return 8.0 * z[:, 0], None, None


class Scale(nn.Module):
    """A norm with weights of its own: RMSNorm. (..., C) -> (..., C)."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * self.weight


class Head(nn.Module):
    """(..., C) -> (..., V)."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return x @ self.weight.T
