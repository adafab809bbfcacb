"""GPT: embeddings of tokens and positions, a stack of blocks, and a head that scores every possible token.

Step: model.    B batch, T time (tokens), C = d_model, V = vocab_size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from block import BlockConfig
from torch import Tensor, nn


@dataclass
class GPTConfig:
    """The shape of a whole model. Complete as it is."""

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
    """A language model: for each position, a score (logit) for every token that could come next.

    Parts: wte, nn.Embedding(vocab_size, d_model); wpe, nn.Embedding(max_seq_len, d_model); h, an
    nn.ModuleList of n_layers blocks; ln_f, a last norm like those in the blocks; lm_head, a linear layer to V
    logits without bias, whose weight is the same nn.Parameter as wte's ("tied"). Dropout acts on the sum of the embeddings.

    Weights start as in GPT-2: linear layers and embeddings normal with mean 0 and standard deviation 0.02,
    biases 0, gains of the norms 1. The residual projections (c_proj in attention and in the MLP) start
    smaller, with standard deviation 0.02 / sqrt(2 * n_layers).
    """

    def __init__(self, config: GPTConfig) -> None:
        raise NotImplementedError("model: GPT.__init__")

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """idx (B, T) int64 -> logits (B, T, V), and the loss or None.

        targets (B, T) int64: the token that follows each position, shifted by the caller; -1 is ignored.
        The loss is the mean cross-entropy over all positions, in nats. Raises ValueError if T > max_seq_len.
        """
        raise NotImplementedError("model: GPT.forward")

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
        own. The model sees the last max_seq_len tokens. `generator` makes the draw repeatable: pass it to
        torch.multinomial.
        """
        raise NotImplementedError("model: GPT.generate")
