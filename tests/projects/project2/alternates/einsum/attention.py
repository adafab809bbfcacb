"""einsum everywhere; softmax by logsumexp; a floating-point mask that is added."""

import torch
from torch import einsum, nn
from torch.nn import functional as F


def softmax(x, dim):
    return torch.exp(x - torch.logsumexp(x, dim, keepdim=True))


def causal_mask(T, device=None):
    return ~torch.triu(torch.ones((T, T), device=device), diagonal=1).bool()


def scaled_dot_product_attention(q, k, v, mask=None, dropout_p=0.0, training=False):
    scores = einsum("...qd,...kd->...qk", q, k) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = torch.where(mask, scores, float("-inf"))
        some = mask.any(-1, keepdim=True)
        weights = torch.where(some, softmax(torch.where(some, scores, 0.0), -1), 0.0)
    else:
        weights = softmax(scores, -1)
    return einsum("...qk,...kd->...qd", F.dropout(weights, p=dropout_p, training=training), v)


class SelfAttentionHead(nn.Module):
    def __init__(self, d_model, d_head, causal=True):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(d_model, d_head, bias=False) for _ in range(3))
        self.causal = causal

    def forward(self, x):
        q, k, v = (einsum("btc,dc->btd", x, m.weight) for m in (self.query, self.key, self.value))
        return scaled_dot_product_attention(q, k, v, causal_mask(x.shape[1]) if self.causal else None)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, causal=True):
        super().__init__()
        if n_heads * (d_model // n_heads) != d_model:
            raise ValueError(f"{n_heads} heads do not divide {d_model} channels")
        self.heads = nn.ModuleList(SelfAttentionHead(d_model, d_model // n_heads, causal) for _ in range(n_heads))
        self.c_proj = nn.Linear(d_model, d_model)

    def forward(self, x):
        y = torch.stack([head(x) for head in self.heads], dim=2)
        return einsum("bthd,chd->btc", y, self.c_proj.weight.unflatten(1, y.shape[2:])) + self.c_proj.bias


class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, max_seq_len, dropout=0.0, bias=True):
        super().__init__()
        if n_heads * (d_model // n_heads) != d_model:
            raise ValueError(f"{n_heads} heads do not divide {d_model} channels")
        self.h, self.p = n_heads, dropout
        self.c_attn = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.c_proj = nn.Linear(d_model, d_model, bias=bias)
        minus_infinity = torch.zeros(max_seq_len, max_seq_len).masked_fill(~causal_mask(max_seq_len), float("-inf"))
        self.register_buffer("bias", minus_infinity)

    def forward(self, x):
        T = x.shape[1]
        if T > len(self.bias):
            raise ValueError(f"{T} > {len(self.bias)}")
        W = self.c_attn.weight.unflatten(0, (3, self.h, -1))
        qkv = einsum("btc,shdc->sbhtd", x, W)
        if self.c_attn.bias is not None:
            qkv = qkv + self.c_attn.bias.view(3, 1, self.h, 1, -1)
        scores = einsum("bhqd,bhkd->bhqk", qkv[0], qkv[1]) / W.shape[2] ** 0.5 + self.bias[:T, :T]
        y = einsum("bhqk,bhkd->bqhd", F.dropout(softmax(scores, -1), self.p, self.training), qkv[2])
        return F.dropout(self.c_proj(y.flatten(2)), self.p, self.training)
