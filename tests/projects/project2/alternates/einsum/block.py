"""The two orders of the block as two small functions."""

from dataclasses import dataclass

from attention import CausalSelfAttention
from layers import MLP, LayerNorm, RMSNorm
from torch import nn


@dataclass
class BlockConfig:
    d_model: int
    n_heads: int
    d_ff: int | None = None
    norm: str = "layernorm"
    norm_position: str = "pre"
    activation: str = "gelu"
    dropout: float = 0.0
    bias: bool = True
    max_seq_len: int = 1024
    eps: float = 1e-5


def pre(x, norm, branch):
    return x + branch(norm(x))


def post(x, norm, branch):
    return norm(x + branch(x))


class TransformerBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        norms = {"layernorm": lambda: LayerNorm(config.d_model, config.eps, config.bias)}
        norms["rmsnorm"] = lambda: RMSNorm(config.d_model, config.eps)
        self.norm1, self.norm2 = norms[config.norm](), norms[config.norm]()
        self.attention = CausalSelfAttention(
            config.d_model, config.n_heads, config.max_seq_len, dropout=config.dropout, bias=config.bias
        )
        self.ffn = MLP(config.d_model, config.d_ff, config.activation, config.dropout, config.bias)
        self.order = {"pre": pre, "post": post}[config.norm_position]

    def forward(self, x):
        x = self.order(x, self.norm1, self.attention)
        return self.order(x, self.norm2, self.ffn)
