"""No nn.Linear: bare matrices, used as x @ W. One-letter names."""

import torch
from torch import nn


def P(*shape):
    return nn.Parameter(torch.randn(*shape) / shape[0] ** 0.5)


def softmax(x, dim):
    m, _ = x.max(dim, keepdim=True)
    e = torch.exp(x - m)
    return e * e.sum(dim, keepdim=True).reciprocal()


def scaled_dot_product_attention(q, k, v, mask=None, dropout_p=0.0, training=False):
    s = q @ k.mT / q.shape[-1] ** 0.5
    if mask is None:
        a = softmax(s, -1)
    else:
        s = s.masked_fill(~mask, -1e300 if s.dtype == torch.float64 else -1e38)
        a = softmax(s, -1) * mask.to(s.dtype)
    if training:
        a = torch.dropout(a, dropout_p, True)
    return a @ v


def causal_mask(T, device=None):
    return torch.ones(T, T, device=device).cumsum(0) >= torch.ones(T, T, device=device).cumsum(1)


class SelfAttentionHead(nn.Module):
    def __init__(self, d_model, d_head, causal=True):
        super().__init__()
        self.q, self.k, self.v = P(d_model, d_head), P(d_model, d_head), P(d_model, d_head)
        self.causal = causal

    def forward(self, x):
        m = causal_mask(x.shape[1]) if self.causal else None
        return scaled_dot_product_attention(x @ self.q, x @ self.k, x @ self.v, m)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, causal=True):
        super().__init__()
        if d_model % n_heads > 0:
            raise ValueError("heads")
        self.hs = nn.ModuleList(SelfAttentionHead(d_model, d_model // n_heads, causal) for _ in range(n_heads))
        self.o, self.b = P(d_model, d_model), nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return torch.cat([h(x) for h in self.hs], 2) @ self.o + self.b


class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, max_seq_len, dropout=0.0, bias=True):
        super().__init__()
        if d_model % n_heads > 0:
            raise ValueError("heads")
        self.H, self.L, self.p = n_heads, max_seq_len, dropout
        self.wqkv, self.wo = P(d_model, 3 * d_model), P(d_model, d_model)
        self.bqkv = nn.Parameter(torch.zeros(3 * d_model)) if bias else None
        self.bo = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x):
        B, T, C = x.shape
        if T > self.L:
            raise ValueError("T")
        y = x @ self.wqkv
        if self.bqkv is not None:
            y = y + self.bqkv
        q, k, v = y.view(B, T, 3, self.H, C // self.H).permute(2, 0, 3, 1, 4).unbind(0)
        z = scaled_dot_product_attention(q, k, v, causal_mask(T), self.p, self.training)
        z = z.permute(0, 2, 1, 3).reshape(B, T, C) @ self.wo
        if self.bo is not None:
            z = z + self.bo
        return torch.dropout(z, self.p, self.training)
