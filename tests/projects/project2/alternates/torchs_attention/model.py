"""Everything inside one ModuleDict called transformer, as in nanoGPT."""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn
from block import BlockConfig, TransformerBlock, norm_of
from helpers import check_length
from torch.nn import functional as F


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
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(config.vocab_size, config.d_model),
                wpe=nn.Embedding(config.max_seq_len, config.d_model),
                drop=nn.Dropout(config.dropout),
                h=nn.ModuleList([TransformerBlock(config.block()) for _ in range(config.n_layers)]),
                ln_f=norm_of(config.block()),
            )
        )
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.apply(self._init_weights)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * config.n_layers))

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, idx, targets=None):
        check_length(idx, self.config.max_seq_len)
        pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device)
        x = self.transformer.drop(self.transformer.wte(idx) + self.transformer.wpe(pos))
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x))
        if targets is None:
            return logits, None
        log_p = F.log_softmax(logits, dim=-1).view(-1, logits.size(-1))
        return logits, F.nll_loss(log_p, targets.view(-1), ignore_index=-1)

    @torch.no_grad()
    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None, generator=None):
        out = torch.empty(idx.size(0), idx.size(1) + max_new_tokens, dtype=idx.dtype, device=idx.device)
        out[:, : idx.size(1)] = idx
        for t in range(idx.size(1), out.size(1)):
            start = max(0, t - self.config.max_seq_len)
            logits = self(out[:, start:t])[0][:, -1].div(temperature)
            if top_k is not None:
                kth = logits.sort(descending=True).values[:, min(top_k, logits.size(-1)) - 1]
                logits = logits.where(logits >= kth[:, None], logits.new_tensor(float("-inf")))
            out[:, t] = torch.multinomial(F.softmax(logits, -1), 1, generator=generator).squeeze(1)
        return out
