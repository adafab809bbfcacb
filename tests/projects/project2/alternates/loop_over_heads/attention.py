"""Every head in a Python loop, on slices of the fused projection. The mask is made in every call."""

import math

import torch
from torch import nn


def softmax(x, dim):
    shifted = x - torch.max(x, dim=dim, keepdim=True).values
    top = shifted.exp()
    return top / top.sum(dim, keepdim=True)


def scaled_dot_product_attention(q, k, v, mask=None, dropout_p=0.0, training=False):
    scores = torch.matmul(q, k.mT) * q.shape[-1] ** -0.5
    if mask is None:
        weights = softmax(scores, -1)
    else:
        hidden = torch.logical_not(mask)
        scores = scores.masked_fill(hidden, -torch.inf)
        highest = scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
        e = (scores - highest).exp()
        total = e.sum(-1, keepdim=True)
        weights = e / total.masked_fill(total == 0, 1.0)
    if training and dropout_p > 0:
        keep = (torch.rand_like(weights) >= dropout_p).to(weights.dtype)
        weights = weights * keep / (1 - dropout_p)
    return torch.matmul(weights, v)


def causal_mask(T, device=None):
    i = torch.arange(T, device=device)
    return i[:, None] >= i[None, :]


class SelfAttentionHead(nn.Module):
    def __init__(self, d_model, d_head, causal=True):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)
        self.causal = causal

    def forward(self, x):
        mask = causal_mask(x.shape[1], x.device) if self.causal else None
        return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, causal=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError("n_heads must divide d_model")
        self.heads = nn.ModuleList()
        for _ in range(n_heads):
            self.heads.append(SelfAttentionHead(d_model, d_model // n_heads, causal))
        self.c_proj = nn.Linear(d_model, d_model)

    def forward(self, x):
        outputs = []
        for head in self.heads:
            outputs.append(head(x))
        return self.c_proj(torch.cat(outputs, 2))


class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, max_seq_len, dropout=0.0, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError("n_heads must divide d_model")
        self.n_heads, self.max_seq_len, self.p = n_heads, max_seq_len, dropout
        self.c_attn = nn.Linear(d_model, 3 * d_model, bias)
        self.c_proj = nn.Linear(d_model, d_model, bias)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        B, T, C = x.shape
        if T > self.max_seq_len:
            raise ValueError(f"{T} tokens, at most {self.max_seq_len}")
        D = C // self.n_heads
        qkv = self.c_attn(x)
        y = []
        for h in range(self.n_heads):
            q = qkv[:, :, h * D : (h + 1) * D]
            k = qkv[:, :, C + h * D : C + (h + 1) * D]
            v = qkv[:, :, 2 * C + h * D : 2 * C + (h + 1) * D]
            scores = q @ k.transpose(1, 2) / math.sqrt(D)
            scores = torch.where(causal_mask(T, x.device), scores, torch.full_like(scores, -math.inf))
            y.append(self.drop(softmax(scores, -1)) @ v)
        return self.drop(self.c_proj(torch.cat(y, -1)))
