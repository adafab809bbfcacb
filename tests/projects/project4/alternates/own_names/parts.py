"""The parts of the network. Matrices are (in, out), as in OpenAI's own code."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Affine(nn.Module):
    """x @ w + b"""

    def __init__(self, n_in, n_out, bias, into_stream=False):
        super().__init__()
        self.into_stream = into_stream
        self.w = nn.Parameter(torch.empty(n_in, n_out))
        self.b = nn.Parameter(torch.empty(n_out)) if bias else None

    def forward(self, x):
        y = x @ self.w
        return y if self.b is None else y + self.b


class Standardise(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.g = nn.Parameter(torch.ones(width))
        self.b = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.g.shape, self.g, self.b, 1e-5)


class Mixer(nn.Module):
    """Tokens look at the tokens before them."""

    def __init__(self, cfg, memory_number):
        super().__init__()
        self.memory_number, self.n_heads = memory_number, cfg.n_head
        self.qkv = Affine(cfg.n_embd, 3 * cfg.n_embd, cfg.bias)
        self.proj = Affine(cfg.n_embd, cfg.n_embd, cfg.bias, into_stream=True)
        self.drop_weights, self.drop_out = nn.Dropout(cfg.dropout), nn.Dropout(cfg.dropout)

    def forward(self, x, store=None):
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.n_heads, width // self.n_heads).unbind(dim=2)
        if store is not None:
            k, v = store.memories[self.memory_number].remember(k, v)
        scores = torch.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(q.shape[-1])
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1 + k.shape[1] - t)
        attention = self.drop_weights(scores.masked_fill(later, -math.inf).softmax(dim=-1))
        return self.drop_out(self.proj(torch.einsum("nhqk,nkhd->nqhd", attention, v).reshape(n, t, width)))


class Thinker(nn.Sequential):
    def __init__(self, cfg):
        super().__init__()
        self.up = Affine(cfg.n_embd, 4 * cfg.n_embd, cfg.bias)
        self.act = nn.GELU(approximate="tanh")
        self.down = Affine(4 * cfg.n_embd, cfg.n_embd, cfg.bias, into_stream=True)
        self.drop = nn.Dropout(cfg.dropout)


class Layer(nn.Module):
    def __init__(self, cfg, number):
        super().__init__()
        self.norm_before_attention = Standardise(cfg.n_embd, cfg.bias)
        self.sa = Mixer(cfg, number)
        self.norm_before_ff = Standardise(cfg.n_embd, cfg.bias)
        self.ff = Thinker(cfg)

    def forward(self, x, store=None):
        x = x + self.sa(self.norm_before_attention(x), store)
        return x + self.ff(self.norm_before_ff(x))
