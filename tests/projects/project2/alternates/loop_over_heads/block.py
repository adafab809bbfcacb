"""Plain, with the branches written out."""

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
        self.pre = c.norm_position == "pre"
        if c.norm == "layernorm":
            self.ln_1, self.ln_2 = LayerNorm(c.d_model, c.eps, c.bias), LayerNorm(c.d_model, c.eps, c.bias)
        else:
            self.ln_1, self.ln_2 = RMSNorm(c.d_model, c.eps), RMSNorm(c.d_model, c.eps)
        self.attn = CausalSelfAttention(c.d_model, c.n_heads, c.max_seq_len, c.dropout, c.bias)
        self.mlp = MLP(c.d_model, c.d_ff, c.activation, c.dropout, c.bias)

    def forward(self, x):
        if self.pre:
            attended = x + self.attn(self.ln_1(x))
            return attended + self.mlp(self.ln_2(attended))
        attended = self.ln_1(x + self.attn(x))
        return self.ln_2(attended + self.mlp(attended))
