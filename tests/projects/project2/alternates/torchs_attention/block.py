"""torch's own norms, which the block may use: the step before has shown how they are made."""

from dataclasses import dataclass

from attention import CausalSelfAttention
from layers import MLP
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


def norm_of(config):
    if config.norm == "rmsnorm":
        return nn.RMSNorm(config.d_model, eps=config.eps)
    return nn.LayerNorm(config.d_model, eps=config.eps, bias=config.bias)


class TransformerBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.parts = nn.ModuleDict(
            {
                "ln_1": norm_of(config),
                "attn": CausalSelfAttention(
                    config.d_model, config.n_heads, config.max_seq_len, config.dropout, config.bias
                ),
                "ln_2": norm_of(config),
                "mlp": MLP(config.d_model, config.d_ff, config.activation, config.dropout, config.bias),
            }
        )
        self.first = config.norm_position == "pre"

    def forward(self, x):
        p = self.parts
        if self.first:
            x = x + p["attn"](p["ln_1"](x))
            return x + p["mlp"](p["ln_2"](x))
        x = p["ln_1"](x + p["attn"](x))
        return p["ln_2"](x + p["mlp"](x))
