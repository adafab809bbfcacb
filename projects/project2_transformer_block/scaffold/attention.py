"""Attention, from one softmax to all heads at once.    Steps: attention, mask, heads, fused

B batch, T time (tokens), C = d_model, H heads, D = head_dim = C / H.
T_q queries look at T_k keys; "..." is any number of leading dimensions, often (B, H).

Everything must work for float32 and float64, and must not change its inputs.
You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# --- step: attention ----------------------------------------------------------------------------------------


def softmax(x: Tensor, dim: int) -> Tensor:
    """Positive numbers that add up to 1 along `dim`, in proportion to exp(x). Same shape and dtype as x.

    Write it from exp, max and sum. It must be right for numbers as large as 10,000 and as small as -10,000,
    although exp(1000) overflows.
    """
    raise NotImplementedError("attention: softmax")


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
        (The step `mask` asks for it; until then you may leave it aside.)
    dropout_p: in training, the share of attention weights set to 0; the others grow by 1 / (1 - dropout_p).
    """
    raise NotImplementedError("attention: scaled_dot_product_attention")


# --- step: mask ---------------------------------------------------------------------------------------------


def causal_mask(T: int, device: torch.device | str | None = None) -> Tensor:
    """(T, T) bool: entry [query, key] is True where the query may attend, that is where key <= query."""
    raise NotImplementedError("mask: causal_mask")


# --- step: heads --------------------------------------------------------------------------------------------


class SelfAttentionHead(nn.Module):
    """One head: its own query, key and value projection, without bias. (B, T, C) -> (B, T, d_head).

    Parameters: query, key, value, each nn.Linear(d_model, d_head, bias=False).
    causal: whether a token may attend only to itself and to earlier ones.
    """

    def __init__(self, d_model: int, d_head: int, causal: bool = True) -> None:
        raise NotImplementedError("heads: SelfAttentionHead.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("heads: SelfAttentionHead.forward")


class MultiHeadAttention(nn.Module):
    """H heads side by side, then one linear layer that mixes them. (B, T, C) -> (B, T, C).

    This is the version to understand; CausalSelfAttention is the one to train.
    Parameters: heads, an nn.ModuleList of SelfAttentionHead with d_head = d_model / n_heads; c_proj,
    nn.Linear(d_model, d_model), for the heads' outputs put side by side.
    Raises ValueError if n_heads does not divide d_model.
    """

    def __init__(self, d_model: int, n_heads: int, causal: bool = True) -> None:
        raise NotImplementedError("heads: MultiHeadAttention.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("heads: MultiHeadAttention.forward")


# --- step: fused --------------------------------------------------------------------------------------------


class CausalSelfAttention(nn.Module):
    """All heads at once. (B, T, C) -> (B, T, C), for every T up to max_seq_len.

    Parameters: c_attn, nn.Linear(d_model, 3 * d_model), which makes queries, keys and values in one
    multiplication, in this order; c_proj, nn.Linear(d_model, d_model). `bias` says whether both have a bias.
    Head h uses columns h*D to (h+1)*D of the queries, of the keys and of the values.
    The mask is not a parameter. Dropout acts on the attention weights and on the output, in training only.
    F.scaled_dot_product_attention is allowed here: in the step `attention` you have written it yourself.
    Raises ValueError if n_heads does not divide d_model, and in forward if T > max_seq_len.
    """

    def __init__(
        self, d_model: int, n_heads: int, max_seq_len: int, dropout: float = 0.0, bias: bool = True
    ) -> None:
        raise NotImplementedError("fused: CausalSelfAttention.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("fused: CausalSelfAttention.forward")
