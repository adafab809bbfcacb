"""Initialisation by apply(), then a second pass over the names; generate with its own softmax."""

import math
from dataclasses import dataclass

import torch
from attention import softmax
from block import BlockConfig, TransformerBlock
from layers import LayerNorm, RMSNorm
from torch import nn
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
        self.wte = nn.Embedding(config.vocab_size, config.d_model)
        self.wpe = nn.Embedding(config.max_seq_len, config.d_model)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList([TransformerBlock(config.block()) for _ in range(config.n_layers)])
        if config.norm == "layernorm":
            self.ln_f = LayerNorm(config.d_model, config.eps, config.bias)
        else:
            self.ln_f = RMSNorm(config.d_model, config.eps)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.wte.weight = self.lm_head.weight
        self.apply(self._init)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                p.data.normal_(0, 0.02 / math.sqrt(2 * config.n_layers))

    def _init(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(0, 0.02)
        if getattr(module, "bias", None) is not None:
            module.bias.data.zero_()

    def forward(self, idx, targets=None):
        B, T = idx.shape
        if T > self.config.max_seq_len:
            raise ValueError("too many tokens")
        x = self.drop(self.wte(idx) + self.wpe(torch.arange(T, device=idx.device))[None])
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(B * T, -1), targets.reshape(-1), ignore_index=-1)
        return logits, loss

    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None, generator=None):
        was_training = self.training
        self.eval()
        with torch.no_grad():
            for _ in range(max_new_tokens):
                logits = self(idx[:, max(0, idx.shape[1] - self.config.max_seq_len) :])[0][:, -1, :] / temperature
                if top_k:
                    v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                    logits[logits < v[:, [-1]]] = -float("Inf")
                idx = torch.cat((idx, torch.multinomial(softmax(logits, -1), 1, generator=generator)), dim=1)
        self.train(was_training)
        return idx
