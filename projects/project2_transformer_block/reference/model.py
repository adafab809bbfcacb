"""GPT: embeddings of tokens and positions, a stack of blocks, and a head that scores every possible token.

B batch, T time (tokens), C = d_model, V = vocab_size.

Sources: Radford et al. 2019 (GPT-2: the layout and the initialisation); Press and Wolf 2017 (one matrix for
input and output embedding), https://arxiv.org/abs/1608.05859.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from block import BlockConfig, TransformerBlock, make_norm
from torch import Tensor, nn


@dataclass
class GPTConfig:
    """The shape of a whole model."""

    vocab_size: int
    n_layers: int
    d_model: int
    n_heads: int
    max_seq_len: int  # tokens
    dropout: float = 0.0
    bias: bool = True
    d_ff: int | None = None
    norm: str = "layernorm"
    norm_position: str = "pre"
    activation: str = "gelu"
    eps: float = 1e-5

    def block(self) -> BlockConfig:
        """The part of this configuration that each block needs."""
        return BlockConfig(
            d_model=self.d_model,
            n_heads=self.n_heads,
            d_ff=self.d_ff,
            norm=self.norm,
            norm_position=self.norm_position,
            activation=self.activation,
            dropout=self.dropout,
            bias=self.bias,
            max_seq_len=self.max_seq_len,
            eps=self.eps,
        )


class GPT(nn.Module):
    """A language model: for each position, a score (logit) for every token that could come next."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.d_model)
        self.wpe = nn.Embedding(config.max_seq_len, config.d_model)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(TransformerBlock(config.block()) for _ in range(config.n_layers))
        self.ln_f = make_norm(config.block())
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight  # tied: one Parameter under two names
        self.init_weights()

    def init_weights(self) -> None:
        """N(0, 0.02) for weights, 0 for biases; the norms keep their gain of 1.

        Each block adds two branches to the residual stream. Their last layers (c_proj) start smaller, by
        1 / sqrt(2 * n_layers), so that the sum does not grow with depth.
        """
        residual_std = 0.02 / math.sqrt(2 * self.config.n_layers)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                std = residual_std if name.endswith("c_proj") else 0.02
                nn.init.normal_(module.weight, mean=0.0, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """idx (B, T) int64 -> logits (B, T, V), and the loss or None.

        targets (B, T) int64: the token that follows each position, shifted by the caller; -1 is ignored.
        The loss is the mean cross-entropy over all positions, in nats. Raises ValueError if T > max_seq_len.
        """
        T = idx.size(1)
        if self.config.max_seq_len < T:
            raise ValueError(f"the sequence has {T} tokens, max_seq_len is {self.config.max_seq_len}")
        tokens = self.wte(idx)  # (B, T) -> (B, T, C)
        positions = self.wpe(torch.arange(T, device=idx.device))  # (T, C), the same for every row
        x = self.drop(tokens + positions)
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))  # (B, T, C) -> (B, T, V)
        if targets is None:
            return logits, None
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)  # (B*T, V), (B*T,)
        return logits, loss

    @torch.no_grad()
    def generate(
        self,
        idx: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Append max_new_tokens sampled tokens to idx. (B, T) -> (B, T + max_new_tokens).

        Divides the logits by `temperature` and keeps only the `top_k` highest. Each row is sampled on its
        own. The model sees the last max_seq_len tokens. `generator` makes the draw repeatable.
        """
        for _ in range(max_new_tokens):
            logits, _ = self(idx[:, -self.config.max_seq_len :])
            logits = logits[:, -1] / temperature  # (B, V): only the last position predicts something new
            if top_k is not None:
                lowest = logits.topk(min(top_k, logits.size(-1))).values[:, -1:]  # (B, 1)
                logits = logits.masked_fill(logits < lowest, float("-inf"))
            probabilities = F.softmax(logits, dim=-1)
            new = torch.multinomial(probabilities, num_samples=1, generator=generator)  # (B, 1)
            idx = torch.cat([idx, new], dim=1)
        return idx
