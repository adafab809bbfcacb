"""GPT, the fast twin of Project 2's model: the same names, the same weights, the same logits.

B batch, T time (tokens), C = d_model, H heads, D = head_dim = C / H, V = vocab_size.

What makes it fast: torch's own attention, norms and GELU in place of formulas, logits that are never held whole in
training (loss.py), a cache of keys and values while it writes text (attention.py), and the faster library for products
(linear.py).

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
from cohort_cli.training.models.attention import EPS, Cache, CausalSelfAttention, turns_of
from cohort_cli.training.models.linear import Linear
from cohort_cli.training.models.loss import linear_cross_entropy


def build(shape: Model, vocab_size: int) -> GPT:
    """The network of a preset's [model] with fresh weights; `vocab_size` is what the caller decided on."""
    answers: dict[str, Any] = {
        key: answer for key, answer in RECIPES[shape.recipe]["model"].items() if getattr(shape, key) == AUTO
    }
    return GPT(shape._replace(d_ff=shape.d_ff or 4 * shape.d_model, **answers), vocab_size)


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
