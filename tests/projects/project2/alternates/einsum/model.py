"""The head is the embedding itself: no second name, so nothing to tie."""

from dataclasses import dataclass

import torch
from block import BlockConfig, TransformerBlock
from layers import LayerNorm, RMSNorm
from torch import einsum, nn


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
        self.tok_emb = nn.Embedding(config.vocab_size, config.d_model)
        self.pos_emb = nn.Parameter(torch.empty(config.max_seq_len, config.d_model))
        self.blocks = nn.Sequential(*(TransformerBlock(config.block()) for _ in range(config.n_layers)))
        if config.norm == "rmsnorm":
            self.norm_f = RMSNorm(config.d_model, config.eps)
        else:
            self.norm_f = LayerNorm(config.d_model, config.eps, config.bias)
        self.dropout = nn.Dropout(config.dropout)
        with torch.no_grad():
            self.reset()

    def reset(self):
        self.tok_emb.weight.normal_(std=0.02)
        self.pos_emb.normal_(std=0.02)
        small = 0.02 * (2 * self.config.n_layers) ** -0.5
        for block in self.blocks:
            layers = {block.attention.c_attn: 0.02, block.attention.c_proj: small}
            layers |= {block.ffn.up: 0.02, block.ffn.down: small}
            for layer, std in layers.items():
                layer.weight.normal_(std=std)
                if layer.bias is not None:
                    layer.bias.zero_()

    def forward(self, idx, targets=None):
        T = idx.shape[-1]
        if T > self.config.max_seq_len:
            raise ValueError(f"{T} tokens, at most {self.config.max_seq_len}")
        x = self.blocks(self.dropout(self.tok_emb(idx) + self.pos_emb[:T]))
        logits = einsum("btc,vc->btv", self.norm_f(x), self.tok_emb.weight)
        if targets is None:
            return logits, None
        counted = targets != -1
        nats = logits.logsumexp(-1) - logits.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return logits, (nats * counted).sum() / counted.sum()

    @torch.inference_mode()
    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None, generator=None):
        for _ in range(max_new_tokens):
            logits = self.forward(idx[:, -self.config.max_seq_len :])[0][:, -1] / temperature
            order = logits.argsort(descending=True)[:, : top_k or logits.shape[-1]]
            p = logits.gather(1, order).softmax(-1)
            u = torch.rand(len(idx), 1, generator=generator, dtype=torch.float64)
            place = (p.cumsum(-1) < u).sum(-1, keepdim=True).clamp(max=p.shape[-1] - 1)
            idx = torch.cat([idx, order.gather(1, place)], 1)
        return idx
