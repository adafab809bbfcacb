"""The small GPT of the game, right or broken in one place. B batch, T time, C = WIDTH, H heads, D = C / H, V characters.

`fault` is a name from faults.py. Those of the model are the lines with `fault ==` in this file; with any other name,
such as "none", this is a plain pre-norm GPT with learned positions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS, WIDTH, HEADS, CONTEXT = 3, 64, 4, 64
STD = 0.02  # of weights at the start
TOO_LARGE = 25  # times that


class Attention(nn.Module):
    """Each position takes a weighted mean of the values at itself and before. (B, T, C) -> (B, T, C)."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, _ = x.shape
        q, k, v = (self.split(part) for part in self.qkv(x).chunk(3, dim=-1))  # each (B, H, T, D)
        scores = q @ k.transpose(-2, -1)  # (B, H, T, T): row = who asks, column = who is asked
        if self.fault != "no-scale":
            scores = scores / math.sqrt(q.size(-1))
        made = self.weights(scores) @ v  # (B, H, T, D)
        if self.fault == "heads-not-transposed":
            return self.proj(made.reshape(batch, time, WIDTH))
        return self.proj(made.transpose(1, 2).reshape(batch, time, WIDTH))

    def split(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, H, T, D)."""
        batch, time, _ = x.shape
        if self.fault == "heads-not-transposed":
            return x.reshape(
                batch, HEADS, time, WIDTH // HEADS
            )  # the right shape, and the wrong numbers in it
        return x.view(batch, time, HEADS, WIDTH // HEADS).transpose(1, 2)

    def weights(self, scores: Tensor) -> Tensor:
        """How much each position takes from each: (B, H, T, T), 0 above the diagonal, each row adds up to 1."""
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        if self.fault == "no-causal-mask":
            return functional.softmax(scores, dim=-1)
        if self.fault == "mask-after-softmax":
            return functional.softmax(scores, dim=-1).masked_fill(future, 0.0)
        scores = scores.masked_fill(future, float("-inf"))
        if self.fault == "softmax-over-queries":
            return functional.softmax(scores, dim=-2)
        return functional.softmax(scores, dim=-1)


class Block(nn.Module):
    """Attention and a small network of two layers, each behind a norm and beside a residual connection."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.norm_1, self.norm_2 = norm(fault), norm(fault)
        self.attention = Attention(fault)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        if self.fault == "no-residual":
            return self.mlp(self.norm_2(self.attention(self.norm_1(x))))
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))

    def mlp(self, x: Tensor) -> Tensor:
        hidden = self.up(x)  # (B, T, 4C)
        if self.fault != "linear-mlp":
            hidden = functional.gelu(hidden)
        return self.down(hidden)


def norm(fault: str) -> nn.Module:
    return nn.Identity() if fault == "no-norm" else nn.LayerNorm(WIDTH)


class GPT(nn.Module):
    """ids (B, T), T <= CONTEXT -> logits (B, T, V)."""

    def __init__(self, characters: int, fault: str = "none") -> None:
        super().__init__()
        self.fault = fault
        self.tokens = nn.Embedding(characters, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block(fault) for _ in range(LAYERS))
        self.norm = norm(fault)
        self.head = nn.Linear(WIDTH, characters, bias=False)
        std = STD * TOO_LARGE if fault == "init-too-large" else STD
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)  # (B, T, C)
        if self.fault != "no-positions":
            x = x + self.positions.weight[: ids.size(1)]  # (B, T, C) + (T, C)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
