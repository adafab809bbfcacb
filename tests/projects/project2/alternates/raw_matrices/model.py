"""The head is x @ E.T, with the same E that is looked up at the beginning."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from block import BlockConfig, TransformerBlock
from layers import LayerNorm, RMSNorm
from torch import nn


@dataclass
class GPTConfig:
    vocab_size: int
    n_layers: int
    d_model: int
    n_heads: int
    max_seq_len: int
    dropout: float = 0.0
    bias: bool = True
    d_ff: int | None = None
    norm: str = "layernorm"
    norm_position: str = "pre"
    activation: str = "gelu"
    eps: float = 1e-5

    def block(self) -> BlockConfig:
        fields = {key: value for key, value in vars(self).items() if key not in ("vocab_size", "n_layers")}
        return BlockConfig(**fields)


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.c = config
        self.te = nn.Parameter(torch.randn(c.vocab_size, c.d_model) * 0.02)
        self.pe = nn.Parameter(torch.randn(c.max_seq_len, c.d_model) * 0.02)
        self.h = nn.ModuleList(TransformerBlock(c.block()) for _ in range(c.n_layers))
        self.nf = RMSNorm(c.d_model, c.eps) if c.norm == "rmsnorm" else LayerNorm(c.d_model, c.eps, c.bias)
        for n, p in self.h.named_parameters():
            if p.ndim == 2:
                last = n.endswith("wo") or n.endswith("w2")
                p.data = torch.randn(p.shape) * (0.02 / math.sqrt(2 * c.n_layers) if last else 0.02)

    def forward(self, idx, targets=None):
        T = idx.shape[1]
        if T > self.c.max_seq_len:
            raise ValueError("T")
        x = torch.dropout(self.te[idx] + self.pe[:T], self.c.dropout, self.training)
        for b in self.h:
            x = b(x)
        z = self.nf(x) @ self.te.T
        return z, None if targets is None else F.cross_entropy(z.reshape(-1, z.shape[-1]), targets.ravel(), ignore_index=-1)

    @torch.no_grad()
    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None, generator=None):
        while max_new_tokens > 0:
            z = self(idx[:, -self.c.max_seq_len :])[0][:, -1] / temperature
            if top_k is not None and top_k < z.shape[1]:
                z[z < z.kthvalue(z.shape[1] - top_k + 1, dim=1, keepdim=True).values] = -math.inf
            idx = torch.hstack([idx, z.softmax(1).multinomial(1, generator=generator)])
            max_new_tokens -= 1
        return idx
