"""The transformer block: attention lets tokens exchange information, the MLP works on each token alone.

B batch, T time (tokens), C = d_model.

Sources: Vaswani et al. 2017, section 3.1 ("post": add, then normalise), https://arxiv.org/abs/1706.03762;
Radford et al. 2019 (GPT-2) and Xiong et al. 2020 ("pre": normalise inside the branch), https://arxiv.org/abs/2002.04745.
"""

from __future__ import annotations

from dataclasses import dataclass

from attention import CausalSelfAttention
from layers import MLP, LayerNorm, RMSNorm
from torch import Tensor, nn


@dataclass
class BlockConfig:
    """The shape of one block. Raises ValueError for an unknown norm or norm_position."""

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


def make_norm(config: BlockConfig) -> nn.Module:
    """The norm that the config names."""
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, config.eps)
    return LayerNorm(config.d_model, config.eps, config.bias)


class TransformerBlock(nn.Module):
    """Attention and MLP, each with a norm and a residual connection around it. (B, T, C) -> (B, T, C).

    pre:   x = x + attn(ln_1(x));  x = x + mlp(ln_2(x))      the residual stream itself is never normalised
    post:  x = ln_1(x + attn(x));  x = ln_2(x + mlp(x))      the original paper's order
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.norm_position = config.norm_position
        self.ln_1 = make_norm(config)
        self.attn = CausalSelfAttention(
            config.d_model, config.n_heads, config.max_seq_len, config.dropout, config.bias
        )
        self.ln_2 = make_norm(config)
        self.mlp = MLP(config.d_model, config.d_ff, config.activation, config.dropout, config.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.norm_position == "pre":
            x = x + self.attn(self.ln_1(x))
            x = x + self.mlp(self.ln_2(x))
        else:
            x = self.ln_1(x + self.attn(x))
            x = self.ln_2(x + self.mlp(x))
        return x
