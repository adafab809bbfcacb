"""F.scaled_dot_product_attention wherever the task allows it; the pieces of softmax in a helper file."""

import math

import torch
import torch.nn.functional as F
from helpers import check_heads, check_length, split
from numerics import safe_exp
from torch import nn


def softmax(x, dim):
    e = safe_exp(x, dim)
    return e / e.sum(dim=dim, keepdim=True)


def scaled_dot_product_attention(q, k, v, mask=None, dropout_p=0.0, training=False):
    w = q.matmul(k.transpose(-2, -1)).div(math.sqrt(k.shape[-1]))
    if mask is not None:
        w = w.masked_fill(mask.logical_not(), torch.finfo(w.dtype).min)
    w = softmax(w, -1)
    if mask is not None:
        w = w.masked_fill(mask.logical_not(), 0)
    return F.dropout(w, dropout_p, training).matmul(v)


def causal_mask(T, device=None):
    return torch.arange(T, device=device).view(T, 1).ge(torch.arange(T, device=device))


class SelfAttentionHead(nn.Module):
    def __init__(self, d_model, d_head, causal=True):
        super().__init__()
        self.causal = causal
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), is_causal=self.causal)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, causal=True):
        super().__init__()
        check_heads(d_model, n_heads)
        head = d_model // n_heads
        self.heads = nn.ModuleList([SelfAttentionHead(d_model, head, causal=causal) for _ in range(n_heads)])
        self.c_proj = nn.Linear(d_model, d_model)

    def forward(self, x):
        return self.c_proj(torch.concat([h(x) for h in self.heads], -1))


class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, max_seq_len, dropout=0.0, bias=True):
        super().__init__()
        check_heads(d_model, n_heads)
        self.n_heads, self.max_seq_len, self.dropout = n_heads, max_seq_len, dropout
        self.c_attn = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.c_proj = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x):
        check_length(x, self.max_seq_len)
        q, k, v = (split(part, self.n_heads) for part in self.c_attn(x).split(x.size(-1), dim=2))
        p = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        return F.dropout(self.c_proj(y.transpose(1, 2).reshape(x.shape)), self.dropout, self.training)
