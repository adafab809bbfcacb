"""shortcut, norm, branch, add: the names of another tradition."""

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
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.att = CausalSelfAttention(cfg.d_model, cfg.n_heads, cfg.max_seq_len, cfg.dropout, cfg.bias)
        self.ff = MLP(cfg.d_model, cfg.d_ff, cfg.activation, cfg.dropout, cfg.bias)
        self.norm1 = self.make_norm()
        self.norm2 = self.make_norm()

    def make_norm(self):
        if self.cfg.norm == "layernorm":
            return LayerNorm(self.cfg.d_model, self.cfg.eps, self.cfg.bias)
        return RMSNorm(self.cfg.d_model, self.cfg.eps)

    def forward(self, x):
        for norm, branch in ((self.norm1, self.att), (self.norm2, self.ff)):
            shortcut = x
            if self.cfg.norm_position == "pre":
                x = norm(x)
            x = branch(x) + shortcut
            if self.cfg.norm_position == "post":
                x = norm(x)
        return x
