"""A block of our own: rotary positions, grouped-query attention, RMSNorm and SwiGLU, as in Llama and Mistral.

B batch, T time (tokens), C = d_model, H query heads, G key/value heads, D = head_dim = C / H.

Sources: Su et al. 2021 (RoPE), https://arxiv.org/abs/2104.09864; Ainslie et al. 2023 (grouped-query
attention), https://arxiv.org/abs/2305.13245; Shazeer 2020 (SwiGLU), https://arxiv.org/abs/2002.05202.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from attention import causal_mask, scaled_dot_product_attention
from block import BlockConfig
from layers import RMSNorm
from torch import Tensor, nn


def precompute_rope(head_dim: int, max_seq_len: int, theta: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every rotation, each (max_seq_len, head_dim / 2).

    Position p turns pair i by the angle p / theta^(2i / head_dim). Raises ValueError if head_dim is odd.
    """
    if head_dim % 2 != 0:
        raise ValueError(f"head_dim must be even, since channels are rotated in pairs; got {head_dim}")
    frequency = theta ** (-torch.arange(0, head_dim, 2) / head_dim)  # (head_dim / 2,)
    angle = torch.outer(torch.arange(max_seq_len), frequency)  # (max_seq_len, head_dim / 2)
    return angle.cos(), angle.sin()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None = None) -> Tensor:
    """Rotate each pair of channels (2i, 2i + 1) of x by its position's angle. (..., T, D) -> (..., T, D).

    positions: (T,) int64, where each token stands; 0, 1, 2, ... if None.
    Lengths stay as they are, and the product of a query and a key depends only on how far apart they stand.
    """
    T = x.size(-2)
    cos, sin = (cos[:T], sin[:T]) if positions is None else (cos[positions], sin[positions])  # (T, D / 2)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    a, b = x[..., 0::2], x[..., 1::2]  # each (..., T, D / 2)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)


class GroupedQueryAttention(nn.Module):
    """Causal attention in which H / G query heads share one key/value head. (B, T, C) -> (B, T, C).

    With G < H fewer keys and values must be kept while generating text. Raises ValueError if T > max_seq_len.
    """

    def __init__(self, config: BlockConfig, n_kv_heads: int) -> None:
        super().__init__()
        if config.d_model % config.n_heads != 0 or config.n_heads % n_kv_heads != 0:
            raise ValueError(
                f"n_heads must divide d_model, and n_kv_heads must divide n_heads; "
                f"got d_model {config.d_model}, n_heads {config.n_heads}, n_kv_heads {n_kv_heads}"
            )
        self.n_heads, self.n_kv_heads = config.n_heads, n_kv_heads
        self.head_dim = config.d_model // config.n_heads
        self.max_seq_len = config.max_seq_len
        self.dropout = config.dropout
        self.query = nn.Linear(config.d_model, config.d_model, bias=False)
        self.key = nn.Linear(config.d_model, n_kv_heads * self.head_dim, bias=False)
        self.value = nn.Linear(config.d_model, n_kv_heads * self.head_dim, bias=False)
        self.c_proj = nn.Linear(config.d_model, config.d_model, bias=False)
        cos, sin = precompute_rope(self.head_dim, config.max_seq_len)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        T = x.size(1)
        if self.max_seq_len < T:
            raise ValueError(f"the sequence has {T} tokens, max_seq_len is {self.max_seq_len}")
        q = self.query(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (B, T, C) -> (B, H, T, D)
        k = self.key(x).unflatten(-1, (self.n_kv_heads, -1)).transpose(1, 2)  # (B, G, T, D)
        v = self.value(x).unflatten(-1, (self.n_kv_heads, -1)).transpose(1, 2)  # (B, G, T, D)
        q, k = apply_rope(q, self.cos, self.sin), apply_rope(k, self.cos, self.sin)
        shared = self.n_heads // self.n_kv_heads
        k = k.repeat_interleave(shared, dim=1)  # (B, G, T, D) -> (B, H, T, D)
        v = v.repeat_interleave(shared, dim=1)
        y = scaled_dot_product_attention(q, k, v, causal_mask(T, x.device), self.dropout, self.training)
        return self.c_proj(y.transpose(1, 2).flatten(-2))  # (B, H, T, D) -> (B, T, C)


class SwiGLU(nn.Module):
    """An MLP whose hidden layer is multiplied by a gate. (..., C) -> (..., C).

    Three matrices instead of two: a width of 8/3 C gives as many parameters as the usual 4 C.
    """

    def __init__(self, d_model: int, d_ff: int | None = None) -> None:
        super().__init__()
        d_ff = 8 * d_model // 3 if d_ff is None else d_ff
        self.gate = nn.Linear(d_model, d_ff, bias=False)
        self.c_fc = nn.Linear(d_model, d_ff, bias=False)
        self.c_proj = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.silu(self.gate(x)) * self.c_fc(x))  # (..., C) -> (..., d_ff) -> (..., C)


class OwnBlock(nn.Module):
    """A pre-norm block from these parts. (B, T, C) -> (B, T, C). G = H / 2 when H is even, else G = H."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        n_kv_heads = config.n_heads // 2 if config.n_heads % 2 == 0 else config.n_heads
        self.ln_1 = RMSNorm(config.d_model, config.eps)
        self.attn = GroupedQueryAttention(config, n_kv_heads)
        self.ln_2 = RMSNorm(config.d_model, config.eps)
        self.mlp = SwiGLU(config.d_model, config.d_ff)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attn(self.ln_1(x)))
        return x + self.dropout(self.mlp(self.ln_2(x)))
