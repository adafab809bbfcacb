"""The trunk as one nn.Sequential; the head shares the embedding through F.linear."""

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
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.d_model)
        self.wpe = nn.Embedding(config.max_seq_len, config.d_model)
        if config.norm == "rmsnorm":
            last = RMSNorm(config.d_model, config.eps)
        else:
            last = LayerNorm(config.d_model, config.eps, config.bias)
        blocks = [TransformerBlock(config.block()) for _ in range(config.n_layers)]
        self.trunk = nn.Sequential(nn.Dropout(config.dropout), *blocks, last)
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.02)
        for block in blocks:
            for layer in (block[0].branch.c_proj[0], block[1].branch.net[2]):
                layer.weight.data.mul_((2 * config.n_layers) ** -0.5)

    def forward(self, idx, targets=None):
        if idx.size(1) > self.config.max_seq_len:
            raise ValueError(f"at most {self.config.max_seq_len} tokens")
        x = self.wte(idx) + self.wpe.weight[: idx.size(1)]
        logits = F.linear(self.trunk(x), self.wte.weight)
        if targets is None:
            return logits, None
        counted = targets.flatten() != -1
        return logits, F.cross_entropy(logits.flatten(0, 1)[counted], targets.flatten()[counted])

    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None, generator=None):
        rows = []
        for row in idx:  # one sequence after the other
            for _ in range(max_new_tokens):
                with torch.no_grad():
                    logits = self(row[None, -self.config.max_seq_len :])[0][0, -1] / temperature
                best = logits.topk(min(top_k or len(logits), len(logits)))
                drawn = torch.multinomial(best.values.softmax(-1), 1, generator=generator)
                row = torch.cat([row, best.indices[drawn]])
            rows.append(row)
        return torch.stack(rows)
