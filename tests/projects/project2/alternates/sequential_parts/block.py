"""Residual as a module of its own."""

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


class Residual(nn.Module):
    def __init__(self, norm, branch, pre):
        super().__init__()
        self.norm, self.branch, self.pre = norm, branch, pre

    def forward(self, x):
        return x + self.branch(self.norm(x)) if self.pre else self.norm(x + self.branch(x))


class TransformerBlock(nn.Sequential):
    def __init__(self, config):
        def norm():
            if config.norm == "rmsnorm":
                return RMSNorm(config.d_model, config.eps)
            return LayerNorm(config.d_model, config.eps, config.bias)

        attn = CausalSelfAttention(config.d_model, config.n_heads, config.max_seq_len, config.dropout, config.bias)
        mlp = MLP(config.d_model, config.d_ff, config.activation, config.dropout, config.bias)
        pre = config.norm_position == "pre"
        super().__init__(Residual(norm(), attn, pre), Residual(norm(), mlp, pre))
