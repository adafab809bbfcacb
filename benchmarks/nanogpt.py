"""nanoGPT's model and training step, written anew from its description, for the benchmarks to compare with.

Its choices: torch's attention, GELU with erf, LayerNorm, logits held whole, AdamW by torch's default (fused on CUDA
only), clipping at 1.0, random windows from an array on disk. Source: https://github.com/karpathy/nanoGPT.

B batch, T time (tokens), C = d_model, V = vocab_size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(self, d_model: int, n_heads: int, bias: bool) -> None:
        super().__init__()
        self.c_attn = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.c_proj = nn.Linear(d_model, d_model, bias=bias)
        self.resid_dropout = nn.Dropout(0.0)
        self.n_heads = n_heads

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (y.view(B, T, self.n_heads, -1).transpose(1, 2) for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C)))


class Block(nn.Module):
    def __init__(self, d_model: int, n_heads: int, bias: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(d_model, bias=bias)
        self.attn = Attention(d_model, n_heads, bias)
        self.ln_2 = nn.LayerNorm(d_model, bias=bias)
        self.c_fc = nn.Linear(d_model, 4 * d_model, bias=bias)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(4 * d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.dropout(self.c_proj(self.gelu(self.c_fc(self.ln_2(x)))))


class GPT(nn.Module):
    def __init__(
        self, vocab_size: int, n_layers: int, d_model: int, n_heads: int, context: int, bias: bool
    ) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocab_size, d_model)
        self.wpe = nn.Embedding(context, d_model)
        self.drop = nn.Dropout(0.0)
        self.h = nn.ModuleList(Block(d_model, n_heads, bias) for _ in range(n_layers))
        self.ln_f = nn.LayerNorm(d_model, bias=bias)
        self.lm_head = nn.Linear(d_model, vocab_size, bias=False)
        self.wte.weight = self.lm_head.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                std = 0.02 / math.sqrt(2 * n_layers) if name.endswith("c_proj.weight") else 0.02
                nn.init.normal_(parameter, std=std)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        positions = torch.arange(ids.size(1))
        x = self.drop(self.wte(ids) + self.wpe(positions))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))  # (B, T, V), whole
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1), ignore_index=-1)


def optimizer_of(model: nn.Module, learning_rate: float, beta2: float) -> torch.optim.AdamW:
    """Decay of 0.1 for what has two dimensions, none for the rest."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, beta2))


def get_batch(data: np.ndarray[Any, Any], batch: int, context: int) -> tuple[Tensor, Tensor]:
    """Random windows x (B, T) and y (B, T), one token later."""
    starts = torch.randint(len(data) - context, (batch,)).tolist()
    x = torch.stack([torch.from_numpy(data[i : i + context].astype(np.int64)) for i in starts])
    y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + context].astype(np.int64)) for i in starts])
    return x, y


def rate_at(step: int, peak: float, lowest: float, warmup: int, steps: int) -> float:
    """The learning rate of a step, counted from 0."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if step > steps:
        return lowest
    share = 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
    return lowest + share * (peak - lowest)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, rate: float) -> float:
    """One iteration of its loop. Returns the loss, as it does for its log."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = model(x, y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()
