"""Three projections with their own names instead of c_attn; comments and names of another tradition."""

from __future__ import annotations

import torch
from torch import nn


def softmax(x: torch.Tensor, dim: int) -> torch.Tensor:
    numerator = torch.exp(x - x.max(dim, keepdim=True)[0].detach())  # the shift needs no gradient
    return torch.div(numerator, torch.sum(numerator, dim=dim, keepdim=True))


def causal_mask(T: int, device=None) -> torch.Tensor:
    return torch.tril(torch.full((T, T), True, device=device))


def scaled_dot_product_attention(q, k, v, mask=None, dropout_p=0.0, training=False):
    k_t = k.transpose(-1, -2)
    attention_scores = torch.matmul(q / torch.tensor(q.size(-1), dtype=q.dtype).sqrt(), k_t)
    if mask is not None:
        attention_scores = attention_scores.masked_fill(mask == 0, float("-inf"))
        attention_weights = torch.nan_to_num(softmax(attention_scores, dim=-1)) * mask
    else:
        attention_weights = softmax(attention_scores, dim=-1)
    attention_weights = nn.functional.dropout(attention_weights, dropout_p, training=training)
    return torch.matmul(attention_weights, v)


class SelfAttentionHead(nn.Module):
    def __init__(self, d_model, d_head, causal=True):
        super().__init__()
        self.W_query = nn.Linear(d_model, d_head, bias=False)
        self.W_key = nn.Linear(d_model, d_head, bias=False)
        self.W_value = nn.Linear(d_model, d_head, bias=False)
        self.is_causal = causal

    def forward(self, x):
        keys, queries, values = self.W_key(x), self.W_query(x), self.W_value(x)
        mask = causal_mask(x.shape[-2], x.device) if self.is_causal else None
        return scaled_dot_product_attention(queries, keys, values, mask)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, causal=True):
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError("d_model must be divisible by n_heads")
        self.heads = nn.ModuleList([SelfAttentionHead(d_model, d_model // n_heads, causal) for _ in range(n_heads)])
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x):
        context = torch.cat([head(x) for head in self.heads], dim=-1)
        return self.out_proj(context)


class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, max_seq_len, dropout=0.0, bias=True):
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError("d_model must be divisible by n_heads")
        self.num_heads = n_heads
        self.q_proj = nn.Linear(d_model, d_model, bias=bias)
        self.k_proj = nn.Linear(d_model, d_model, bias=bias)
        self.v_proj = nn.Linear(d_model, d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)
        self.attn_drop, self.out_drop = nn.Dropout(dropout), nn.Dropout(dropout)
        self.register_buffer("hidden", torch.triu(torch.ones(max_seq_len, max_seq_len), diagonal=1))

    def forward(self, x):
        B, T, C = x.shape
        if self.hidden.size(0) < T:
            raise ValueError(f"sequence of {T} tokens is longer than {self.hidden.size(0)}")
        queries = self.q_proj(x).view(B, T, self.num_heads, C // self.num_heads).transpose(1, 2)
        keys = self.k_proj(x).view(B, T, self.num_heads, C // self.num_heads).transpose(1, 2)
        values = self.v_proj(x).view(B, T, self.num_heads, C // self.num_heads).transpose(1, 2)
        scores = queries @ keys.transpose(2, 3)
        scores.masked_fill_(self.hidden.bool()[:T, :T], -torch.inf)
        weights = softmax(scores / keys.shape[-1] ** 0.5, dim=-1)
        context = (self.attn_drop(weights) @ values).transpose(1, 2).contiguous().view(B, T, C)
        return self.out_drop(self.out_proj(context))
