"""Attention, from one softmax to all heads at once.

B batch, T time (tokens), C = d_model, H heads, D = head_dim = C / H.
T_q queries look at T_k keys; "..." is any number of leading dimensions, often (B, H).

Sources: Vaswani et al. 2017, "Attention Is All You Need", sections 3.2.1 and 3.2.2, https://arxiv.org/abs/1706.03762.
The names c_attn and c_proj are GPT-2's (Radford et al. 2019), so that its weights can be loaded later.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def softmax(x: Tensor, dim: int) -> Tensor:
    """Positive numbers that add up to 1 along `dim`, in proportion to exp(x). Same shape and dtype as x.

    exp(1000) overflows, so the largest entry is subtracted first. The result is the same for any m:
    exp(x - m) / sum(exp(x - m)) = exp(x) / sum(exp(x)).
    """
    exponentials = torch.exp(x - x.amax(dim=dim, keepdim=True))  # the largest is exp(0) = 1
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    training: bool = False,
) -> Tensor:
    """softmax(q @ k^T / sqrt(D)) @ v: each query's weighted average of the values.

    q (..., T_q, D), k (..., T_k, D), v (..., T_k, D_v)  ->  (..., T_q, D_v)
    mask: bool, broadcastable to (..., T_q, T_k), True = may attend. A query with nothing to attend to gets 0.
    dropout_p: in training, the share of attention weights set to 0; the others grow by 1 / (1 - dropout_p).
    """
    scores = q @ k.transpose(-2, -1)  # (..., T_q, D) @ (..., D, T_k) -> (..., T_q, T_k)
    scores = scores / math.sqrt(q.size(-1))  # a sum of D products has variance D; this brings it back to 1
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))  # exp(-inf) = 0
    weights = softmax(scores, dim=-1)  # each query's weights add up to 1
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)  # a row with nothing to attend to: 0/0 becomes 0
    weights = F.dropout(weights, dropout_p, training)
    return weights @ v  # (..., T_q, T_k) @ (..., T_k, D_v) -> (..., T_q, D_v)


def causal_mask(T: int, device: torch.device | str | None = None) -> Tensor:
    """(T, T) bool: entry [query, key] is True where the query may attend, that is where key <= query."""
    return torch.ones(T, T, dtype=torch.bool, device=device).tril()


class SelfAttentionHead(nn.Module):
    """One head: its own query, key and value projection, without bias. (B, T, C) -> (B, T, d_head)."""

    def __init__(self, d_model: int, d_head: int, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.query(x), self.key(x), self.value(x)  # each (B, T, C) -> (B, T, d_head)
        mask = causal_mask(x.size(1), x.device) if self.causal else None
        return scaled_dot_product_attention(q, k, v, mask)


class MultiHeadAttention(nn.Module):
    """H heads side by side, then one linear layer that mixes them. (B, T, C) -> (B, T, C).

    This is the version to understand; CausalSelfAttention is the one to train.
    Raises ValueError if n_heads does not divide d_model.
    """

    def __init__(self, d_model: int, n_heads: int, causal: bool = True) -> None:
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError(f"d_model must be a multiple of n_heads, got {d_model} and {n_heads}")
        d_head = d_model // n_heads
        self.heads = nn.ModuleList(SelfAttentionHead(d_model, d_head, causal) for _ in range(n_heads))
        self.c_proj = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([head(x) for head in self.heads], dim=-1)  # H times (B, T, D) -> (B, T, C)
        return self.c_proj(y)


class CausalSelfAttention(nn.Module):
    """All heads at once. (B, T, C) -> (B, T, C).

    c_attn makes queries, keys and values in one multiplication; its output is q, k, v, in this order.
    Head h uses columns h*D to (h+1)*D of each. Dropout acts on the attention weights and on the output.
    Raises ValueError if n_heads does not divide d_model, and in forward if T > max_seq_len.
    """

    def __init__(
        self, d_model: int, n_heads: int, max_seq_len: int, dropout: float = 0.0, bias: bool = True
    ) -> None:
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError(f"d_model must be a multiple of n_heads, got {d_model} and {n_heads}")
        self.d_model = d_model
        self.n_heads = n_heads
        self.head_dim = d_model // n_heads
        self.max_seq_len = max_seq_len
        self.dropout = dropout
        self.c_attn = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.c_proj = nn.Linear(d_model, d_model, bias=bias)
        self.resid_dropout = nn.Dropout(dropout)
        # A buffer moves with .to(device) but is not trained; not persistent: it need not be saved either.
        self.register_buffer("mask", causal_mask(max_seq_len), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        T = x.size(1)
        if self.max_seq_len < T:
            raise ValueError(f"the sequence has {T} tokens, max_seq_len is {self.max_seq_len}")
        q, k, v = self.c_attn(x).chunk(3, dim=-1)  # (B, T, 3C) -> three times (B, T, C)
        q, k, v = self.split_heads(q), self.split_heads(k), self.split_heads(v)
        y = scaled_dot_product_attention(q, k, v, self.mask[:T, :T], self.dropout, self.training)
        y = self.merge_heads(y)
        return self.resid_dropout(self.c_proj(y))

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, H, D) -> (B, H, T, D): the heads become a batch dimension."""
        return x.unflatten(-1, (self.n_heads, self.head_dim)).transpose(1, 2)

    def merge_heads(self, x: Tensor) -> Tensor:
        """(B, H, T, D) -> (B, T, H, D) -> (B, T, C): the inverse of split_heads."""
        return x.transpose(1, 2).flatten(-2)
