"""GPT-2: its configurations, and the network itself.    Steps: config, model, cache

B batch, T time (tokens), C = n_embd, H = n_head, D = C / H, V = vocab_size, L = n_layer.

Sources: Radford et al. 2019 (the layout, the four sizes, the smaller start of residual projections),
https://huggingface.co/openai-community/gpt2; Press and Wolf 2017 (the tied head), https://arxiv.org/abs/1608.05859;
Chowdhery et al. 2022, appendix B (floating-point operations per token), https://arxiv.org/abs/2204.02311.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from cache import KVCache
from torch import Tensor, nn

IGNORED = -100  # a target that no loss is computed for
EPS = 1e-5
SIZES = {  # name -> n_layer, n_head, n_embd
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model. Raises ValueError for one that cannot be built: each of the five sizes is at least 1, n_head
    divides n_embd, and dropout is at least 0 and below 1.
    """

    block_size: int = 1024  # tokens that the model can see
    vocab_size: int = 50257
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True

    def __post_init__(self) -> None:
        for name in ("block_size", "vocab_size", "n_layer", "n_head", "n_embd"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd = {self.n_embd} cannot be divided into n_head = {self.n_head} heads")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and below 1")


def config_for(name: str) -> GPTConfig:
    """The configuration of one of GPT-2's four sizes: gpt2, gpt2-medium, gpt2-large, gpt2-xl."""
    if name not in SIZES:
        raise ValueError(f"{name!r} is no size of GPT-2; there are {', '.join(SIZES)}")
    n_layer, n_head, n_embd = SIZES[name]
    return GPTConfig(n_layer=n_layer, n_head=n_head, n_embd=n_embd)


def count_parameters(config: GPTConfig) -> int:
    """Parameters of GPT(config), by arithmetic. The head shares the matrix of the token embedding."""
    C = config.n_embd
    biases = 9 * C if config.bias else 0  # c_attn 3, c_proj 1, c_fc 4, c_proj 1
    norm = 2 * C if config.bias else C
    block = 12 * C * C + biases + 2 * norm
    return (config.vocab_size + config.block_size) * C + config.n_layer * block + norm


# --- the network ----------------------------------------------------------------------------------------------


class SelfAttention(nn.Module):
    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_head = config.n_head
        self.dropout = config.dropout
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        """x (B, T, C) -> (B, T, C). With a cache, x is what follows the tokens that the cache has seen."""
        B, T, C = x.shape
        heads = [part.view(B, T, self.n_head, -1).transpose(1, 2) for part in self.c_attn(x).split(C, dim=2)]
        q, k, v = heads  # each (B, H, T, D)
        mask = None
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)  # (B, H, T_k, D)
            past = k.size(2) - T
            if past and T > 1:  # query t is token past + t, and sees all keys up to itself
                mask = torch.ones(T, k.size(2), dtype=torch.bool, device=x.device).tril(past)
        alone = mask is None and T > 1
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=alone, dropout_p=self.dropout if self.training else 0.0
        )
        out: Tensor = self.resid_dropout(self.c_proj(y.transpose(1, 2).reshape(B, T, C)))
        return out


class MLP(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))
        return out


class Block(nn.Module):
    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=EPS, bias=config.bias)
        self.attn = SelfAttention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=EPS, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        x = x + self.attn(self.ln_1(x), cache)
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class GPT(nn.Module):
    """For each position, a score (logit) for every token that could come next.

    Embedding of the token plus embedding of the position; n_layer blocks; a last norm; the head, which is the token
    embedding's own matrix. A block is x + attention(norm(x)), then x + mlp(norm(x)): causal attention with n_head heads,
    an MLP with 4 C inner values and GELU in its tanh form. Every norm is a LayerNorm with eps = 1e-5. With bias=False
    neither linear layers nor norms have one. Dropout acts, in training, on the sum of the two embeddings, on the weights
    of attention, and on what each branch adds to x. `config` is the configuration.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=EPS, bias=config.bias)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight  # one Parameter under two names
        init_weights(self, config.n_layer)

    def forward(
        self, idx: Tensor, targets: Tensor | None = None, *, kv_cache: KVCache | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """idx (B, T) int64 -> logits (B, T, V), and the mean cross-entropy in nats if there are targets, else None.

        targets (B, T): the token after each position; -100 is left out of the mean.
        kv_cache: what was computed for the tokens before idx; idx is added to it.
        Raises ValueError for more tokens than block_size, those in the cache included, before the cache has changed.
        """
        T = idx.size(1)
        past = 0 if kv_cache is None else kv_cache.length
        if past + T > self.config.block_size:
            raise ValueError(f"{past + T} tokens are more than block_size = {self.config.block_size}")
        positions = torch.arange(past, past + T, device=idx.device)
        x = self.drop(self.wte(idx) + self.wpe(positions))  # (B, T, C)
        for block in self.h:
            x = block(x, kv_cache)
        if kv_cache is not None:
            kv_cache.length = past + T
        logits = self.lm_head(self.ln_f(x))  # (B, T, V)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)

    def num_params(self, non_embedding: bool = True) -> int:
        """All parameters, the tied matrix once; non_embedding leaves out the positions' (the tied one also scores)."""
        count = sum(parameter.numel() for parameter in self.parameters())
        return count - self.wpe.weight.numel() if non_embedding else count

    def flops_per_token(self, T: int) -> float:
        """Floating-point operations of forward and backward pass, per token of a sequence of T: 6 N + 12 L C T.

        6 for each parameter but the positions' (2 forward, 4 backward), and 12 L C T for the scores of attention
        and the sums that they weight, over all T keys (a causal kernel can save half of that).
        """
        config = self.config
        return 6.0 * self.num_params() + 12.0 * config.n_layer * config.n_embd * T


def init_weights(module: nn.Module, n_layer: int) -> None:
    """Give `module` and all in it GPT-2's start: matrices N(0, 0.02), biases 0; gains of the norms stay 1.

    The two projections per block that write into the residual stream start at 0.02 / sqrt(2 n_layer), so that the
    stream does not grow with depth.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            std = 0.02 / math.sqrt(2 * n_layer) if name.endswith("c_proj") else 0.02
            nn.init.normal_(part.weight, mean=0.0, std=std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
