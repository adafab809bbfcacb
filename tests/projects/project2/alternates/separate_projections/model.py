"""tok_emb, pos_emb, trf_blocks, final_norm, out_head; the head is tied by handing over the Parameter."""

from dataclasses import dataclass

import torch
from block import BlockConfig, TransformerBlock
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
    def __init__(self, cfg):
        super().__init__()
        self.context = cfg.max_seq_len
        self.tok_emb = nn.Embedding(cfg.vocab_size, cfg.d_model)
        self.pos_emb = nn.Embedding(cfg.max_seq_len, cfg.d_model)
        self.drop_emb = nn.Dropout(cfg.dropout)
        self.blocks = nn.ModuleList([TransformerBlock(cfg.block()) for _ in range(cfg.n_layers)])
        self.final_norm = self.blocks[0].make_norm()
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                torch.nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        for block in self.blocks:
            for last in (block.att.out_proj, block.ff.fc2):
                torch.nn.init.normal_(last.weight, std=0.02 / (2 * cfg.n_layers) ** 0.5)
        self.out_head = nn.Linear(cfg.d_model, cfg.vocab_size, bias=False)
        self.out_head.weight = self.tok_emb.weight

    def forward(self, in_idx, targets=None):
        batch_size, seq_len = in_idx.shape
        if seq_len > self.context:
            raise ValueError(f"{seq_len} tokens, but the context is {self.context}")
        pos = torch.arange(seq_len, device=in_idx.device).unsqueeze(0)
        x = self.drop_emb(self.tok_emb(in_idx) + self.pos_emb(pos))
        for block in self.blocks:
            x = block(x)
        logits = self.out_head(self.final_norm(x))
        if targets is None:
            return logits, None
        # cross_entropy also takes (B, V, T)
        return logits, nn.functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-1)

    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None, generator=None):
        for _ in range(max_new_tokens):
            with torch.no_grad():
                logits = self(idx[:, -self.context :])[0][:, -1, :]
            if top_k is not None and top_k < logits.shape[-1]:
                allowed = torch.zeros_like(logits, dtype=torch.bool)
                allowed.scatter_(1, torch.topk(logits, top_k).indices, True)
                logits = torch.where(allowed, logits, torch.tensor(float("-inf"), dtype=logits.dtype))
            probas = torch.softmax(logits / temperature, dim=-1)
            idx = torch.cat((idx, torch.multinomial(probas, num_samples=1, generator=generator)), dim=1)
        return idx
