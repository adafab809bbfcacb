"""The transformer block: attention lets tokens exchange information, the MLP works on each token alone.

Step: block.    B batch, T time (tokens), C = d_model.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class BlockConfig:
    """The shape of one block. Complete as it is. Raises ValueError for an unknown norm or norm_position."""

    d_model: int
    n_heads: int
    d_ff: int | None = None  # width of the MLP; None means 4 * d_model
    norm: str = "layernorm"  # or "rmsnorm"
    norm_position: str = "pre"  # or "post"
    activation: str = "gelu"  # or "relu"
    dropout: float = 0.0
    bias: bool = True  # of every linear layer and of LayerNorm
    max_seq_len: int = 1024  # tokens
    eps: float = 1e-5  # of the norms

    def __post_init__(self) -> None:
        if self.norm not in ("layernorm", "rmsnorm"):
            raise ValueError(f'norm must be "layernorm" or "rmsnorm", got {self.norm!r}')
        if self.norm_position not in ("pre", "post"):
            raise ValueError(f'norm_position must be "pre" or "post", got {self.norm_position!r}')


class TransformerBlock(nn.Module):
    """Attention and MLP, each with a norm and a residual connection around it. (B, T, C) -> (B, T, C).

    norm_position "pre":   x = x + attn(ln_1(x)), then x = x + mlp(ln_2(x))
    norm_position "post":  x = ln_1(x + attn(x)), then x = ln_2(x + mlp(x))
    Parts: ln_1 and ln_2 (LayerNorm or RMSNorm, with config.eps), attn (CausalSelfAttention), mlp (MLP).
    Every field of the config reaches the part that needs it.
    """

    def __init__(self, config: BlockConfig) -> None:
        raise NotImplementedError("block: TransformerBlock.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("block: TransformerBlock.forward")
