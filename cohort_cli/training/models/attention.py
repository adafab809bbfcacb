"""Attention of all heads at once, with rotary positions and with a cache of what was seen before.

B batch, T time (tokens), C = d_model, H heads, D = head_dim = C / H.
T_q new tokens look at T_k, which are those in the cache and themselves.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cohort_cli.training.config import Model
from cohort_cli.training.models.linear import Linear

EPS = 1e-5  # of all norms, as in GPT-2


class Cache:
    """Keys and values of the tokens so far, for each block, so that a new token costs one token's work."""

    def __init__(self, n_layers: int) -> None:
        self.length = 0  # tokens
        self.layers: list[tuple[Tensor, Tensor] | None] = [None] * n_layers

    def extend(self, layer: int, k: Tensor, v: Tensor, room: int) -> tuple[Tensor, Tensor]:
        """Put k and v (B, H, T, D) behind those of `layer`; all of them, (B, H, length + T, D).

        room: tokens that will ever fit. The memory is taken once, at the first call.
        """
        B, H, T, D = k.shape
        kept = self.layers[layer]
        if kept is None:
            kept = self.layers[layer] = (k.new_empty(B, H, room, D), v.new_empty(B, H, room, D))
        end = self.length + T
        for memory, new in zip(kept, (k, v), strict=True):
            memory[:, :, self.length : end] = new
        return kept[0][:, :, :end], kept[1][:, :, :end]


class CausalSelfAttention(nn.Module):
    """All heads at once. (B, T, C) -> (B, T, C)."""

    def __init__(self, shape: Model, layer: int) -> None:
        super().__init__()
        self.layer, self.n_heads, self.context = layer, shape.n_heads, shape.context
        self.qk_norm, self.dropout = shape.qk_norm == "yes", shape.dropout
        self.c_attn = Linear(shape.d_model, 3 * shape.d_model, bias=shape.bias)
        self.c_proj = Linear(shape.d_model, shape.d_model, bias=shape.bias)
        self.resid_dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, turns: Tensor | None, cache: Cache | None) -> Tensor:
        qkv = self.c_attn(x).unflatten(-1, (3, self.n_heads, -1))  # (B, T, 3C) -> (B, T, 3, H, D)
        qk, v = qkv[:, :, :2], qkv[:, :, 2]
        if self.qk_norm:
            qk = F.rms_norm(qk, (qk.size(-1),), eps=EPS)
        if turns is not None:
            qk = rotate(qk, turns)
        q, k, v = (y.transpose(1, 2) for y in (*qk.unbind(2), v))  # each (B, T, H, D) -> (B, H, T, D)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v, self.context)
        y = attend(q, k.type_as(q), v.type_as(q), self.dropout if self.training else 0.0)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).flatten(-2)))  # (B, H, T, D) -> (B, T, C)


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """Causal attention of the newest T_q of T_k tokens. q (B, H, T_q, D), k, v (B, H, T_k, D) -> as q."""
    T_q, T_k = q.size(-2), k.size(-2)
    if T_q in (1, T_k):  # one query sees every key; or queries and keys are the same tokens
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=T_q > 1)
    mask = torch.ones(T_q, T_k, dtype=torch.bool, device=q.device).tril(T_k - T_q)
    return F.scaled_dot_product_attention(q, k, v, mask, dropout)


def turns_of(head_dim: int, context: int, theta: float = 10_000.0) -> Tensor:
    """(context, D/2, 2), cosine and sine: position p turns pair i by the angle p / theta^(2i / D)."""
    pair = torch.arange(0, head_dim, 2, dtype=torch.float64)  # float32 would miss far positions by 0.0002
    angle = torch.outer(torch.arange(context).double(), theta ** (-pair / head_dim))
    return torch.stack([angle.cos(), angle.sin()], dim=-1).float()


def rotate(qk: Tensor, turns: Tensor) -> Tensor:
    """RoPE: turn each pair of channels (2i, 2i + 1). Read as complex numbers, a turn is one multiplication.

    qk (B, T, 2, H, D), turns (T, D/2, 2) -> (B, T, 2, H, D).
    """
    pairs = torch.view_as_complex(qk.float().unflatten(-1, (-1, 2)))  # (B, T, 2, H, D/2)
    turned = pairs * torch.view_as_complex(turns.float())[:, None, None]
    return torch.view_as_real(turned).flatten(-2).type_as(qk)
