"""Short names, the same order of parts."""

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


class TransformerBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = config
        N = (lambda: RMSNorm(c.d_model, c.eps)) if c.norm == "rmsnorm" else (lambda: LayerNorm(c.d_model, c.eps, c.bias))
        self.n1, self.a, self.n2 = N(), CausalSelfAttention(c.d_model, c.n_heads, c.max_seq_len, c.dropout, c.bias), N()
        self.m = MLP(c.d_model, c.d_ff, c.activation, c.dropout, c.bias)
        self.forward = self.pre if c.norm_position == "pre" else self.post

    def pre(self, x):
        x = x + self.a(self.n1(x))
        return x + self.m(self.n2(x))

    def post(self, x):
        x = self.n1(x + self.a(x))
        return self.n2(x + self.m(x))
