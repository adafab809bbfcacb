"""GPT, the fast twin of Project 2's model: the same names, the same weights, the same logits.

B batch, T time (tokens), C = d_model, H heads, D = head_dim = C / H, V = vocab_size.

What makes it fast: torch's own attention, norms and GELU in place of formulas, logits that are never held whole in
training (loss.py), and a cache of keys and values while it writes text.

The recipe `modern` changes five things, each alone if you like: rotary positions (Su et al. 2021,
https://arxiv.org/abs/2104.09864), RMSNorm (Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467), normalised
queries and keys (Henry et al. 2020, https://arxiv.org/abs/2010.04245), squared ReLU (So et al. 2021,
https://arxiv.org/abs/2109.08668) and branches that start at zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cohort_cli.training.config import AUTO, RECIPES, Model
from cohort_cli.training.models.linear import Linear
from cohort_cli.training.models.loss import linear_cross_entropy

EPS = 1e-5  # of the norms, as in GPT-2


def build(shape: Model, vocab_size: int) -> GPT:
    """The network of a preset's [model] with fresh weights; `vocab_size` is what the caller decided on."""
    answers: dict[str, Any] = {
        key: answer for key, answer in RECIPES[shape.recipe]["model"].items() if getattr(shape, key) == AUTO
    }
    return GPT(shape._replace(d_ff=shape.d_ff or 4 * shape.d_model, **answers), vocab_size)


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


class MLP(nn.Module):
    """Two linear layers with a non-linearity between them. (B, T, C) -> (B, T, C)."""

    def __init__(self, shape: Model) -> None:
        super().__init__()
        self.squared_relu = shape.activation == "relu2"
        self.c_fc = Linear(shape.d_model, shape.d_ff, bias=shape.bias)
        self.c_proj = Linear(shape.d_ff, shape.d_model, bias=shape.bias)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.c_fc(x)  # (B, T, C) -> (B, T, d_ff)
        hidden = F.relu(hidden).square() if self.squared_relu else F.gelu(hidden, approximate="tanh")
        return self.dropout(self.c_proj(hidden))


class Block(nn.Module):
    """Attention and MLP, each with a norm before it and a residual connection around it."""

    def __init__(self, shape: Model, layer: int) -> None:
        super().__init__()
        self.ln_1 = make_norm(shape)
        self.attn = CausalSelfAttention(shape, layer)
        self.ln_2 = make_norm(shape)
        self.mlp = MLP(shape)

    def forward(self, x: Tensor, turns: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        x = x + self.attn(self.ln_1(x), turns, cache)
        return x + self.mlp(self.ln_2(x))


def make_norm(shape: Model) -> nn.Module:
    """The norm that the shape names."""
    if shape.norm == "rmsnorm":
        return nn.RMSNorm(shape.d_model, EPS)
    return nn.LayerNorm(shape.d_model, EPS, bias=shape.bias)


class GPT(nn.Module):
    """A language model. Takes a `shape` whose switches are all set; `build` sets them.

    checkpoint_blocks: keep only the input of each block, and compute the block again in the backward pass. Saves
    most of the memory of activations for about a third more time.
    """

    turns: Tensor | None

    def __init__(self, shape: Model, vocab_size: int) -> None:
        super().__init__()
        self.shape, self.context = shape, shape.context
        self.checkpoint_blocks = False
        self.wte = nn.Embedding(vocab_size, shape.d_model)
        self.wpe = nn.Embedding(shape.context, shape.d_model) if shape.positions == "learned" else None
        turns = turns_of(shape.d_model // shape.n_heads, shape.context) if shape.positions == "rope" else None
        self.register_buffer("turns", turns, persistent=False)
        self.drop = nn.Dropout(shape.dropout)
        self.h = nn.ModuleList(Block(shape, layer) for layer in range(shape.n_layers))
        self.ln_f = make_norm(shape)
        self.lm_head = Linear(shape.d_model, vocab_size, bias=False)
        if shape.tied:
            self.lm_head.weight = self.wte.weight  # one Parameter under two names
        self.init_weights()

    def init_weights(self) -> None:
        """N(0, 0.02) for weights, 0 for biases. The layers that end a branch (c_proj) start at a standard
        deviation of 0.02 / sqrt(2 * n_layers), as in GPT-2, or at zero: then each block starts as the identity."""
        branch_std = 0.0 if self.shape.init == "zero" else 0.02 / math.sqrt(2 * self.shape.n_layers)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=branch_std if name.endswith("c_proj") else 0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def hidden(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """What the head sees. ids (B, T) int64, behind the tokens in `cache` -> (B, T, C).

        Raises ValueError if more tokens come together than `context`.
        """
        first = cache.length if cache is not None else 0
        end = first + ids.size(1)
        if end > self.context:
            raise ValueError(f"the sequence has {end} tokens, the context is {self.context}")
        x = self.wte(ids)  # (B, T) -> (B, T, C)
        if self.wpe is not None:
            x = x + self.wpe.weight[first:end]  # (B, T, C) + (T, C)
        x = self.drop(x)
        turns = self.turns[first:end] if self.turns is not None else None
        for block in self.h:
            if self.checkpoint_blocks and self.training:
                x = checkpoint(block, x, turns, use_reentrant=False)
            else:
                x = block(x, turns, cache)
        if cache is not None:
            cache.length = end
        return self.ln_f(x)

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> tuple[Tensor | None, Tensor | None]:
        """ids (B, T) int64 -> (logits (B, T, V), None) without targets, (None, loss) with them.

        targets (B, T) int64: the token that follows each position; a negative one is ignored. The loss is the mean
        cross-entropy over the others, in nats. Raises ValueError if T > context.
        """
        x = self.hidden(ids)
        if targets is None:
            return self.lm_head(x), None  # (B, T, C) -> (B, T, V)
        return None, linear_cross_entropy(x, self.lm_head.weight, targets)

    @torch.no_grad()
    def stream(
        self,
        ids: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
        keep: int | None = None,
    ) -> Iterator[Tensor]:
        """Yield max_new_tokens tokens that go on from ids (B, T), one (B, 1) after the other.

        temperature divides the logits; 0 takes the likeliest token. Only the `top_k` highest are kept.
        When the context is full, the model goes on with the newest `keep` tokens. By default these are as many as
        the context holds, as in Project 2; then every further token costs a pass over the whole context.
        """
        keep = min(keep or self.context, self.context)
        cache = Cache(len(self.h))
        new = ids = ids[:, -self.context :]
        for _ in range(max_new_tokens):
            if cache.length + new.size(1) > self.context:
                cache, new = Cache(len(self.h)), ids[:, -keep:]
            last = self.hidden(new, cache)[:, -1]  # (B, C): only the last position predicts something new
            logits = self.lm_head(last).float()  # (B, V)
            new = sample(logits, temperature, top_k, generator)
            ids = torch.cat([ids, new], dim=1)[:, -self.context :]
            yield new

    def generate(
        self,
        ids: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
        keep: int | None = None,
    ) -> Tensor:
        """ids with max_new_tokens sampled tokens behind them. (B, T) -> (B, T + max_new_tokens). See `stream`."""
        return torch.cat([ids, *self.stream(ids, max_new_tokens, temperature, top_k, generator, keep)], dim=1)


def sample(
    logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None
) -> Tensor:
    """One token for each row. logits (B, V) -> (B, 1)."""
    if temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    logits = logits / temperature
    if top_k is not None:
        lowest = logits.topk(min(top_k, logits.size(-1))).values[:, -1:]  # (B, 1)
        logits = logits.masked_fill(logits < lowest, float("-inf"))
    return torch.multinomial(F.softmax(logits, dim=-1), num_samples=1, generator=generator)
