"""As short as it gets and still reads."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

IGNORED = -100


@dataclass(frozen=True)
class GPTConfig:
    block_size: int = 1024
    vocab_size: int = 50257
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True

    def __post_init__(self):
        if min(self.block_size, self.vocab_size, self.n_layer, self.n_head, self.n_embd) < 1:
            raise ValueError(f"a size below 1: {self}")
        if self.n_embd % self.n_head or not 0 <= self.dropout < 1:
            raise ValueError(f"heads or dropout: {self}")


def config_for(name):
    sizes = {"gpt2": (12, 12, 768), "gpt2-medium": (24, 16, 1024), "gpt2-large": (36, 20, 1280), "gpt2-xl": (48, 25, 1600)}
    if name not in sizes:
        raise ValueError(name)
    return GPTConfig(1024, 50257, *sizes[name])


def count_parameters(c):
    return c.n_embd * (c.vocab_size + c.block_size + (12 * c.n_embd + 2 + 11 * c.bias) * c.n_layer + 1 + c.bias)


class Block(nn.Module):
    def __init__(self, c, i):
        super().__init__()
        self.c, self.i, C = c, i, c.n_embd
        self.ln_1, self.ln_2 = nn.LayerNorm(C, bias=c.bias), nn.LayerNorm(C, bias=c.bias)
        self.qkv, self.out = nn.Linear(C, 3 * C, c.bias), nn.Linear(C, C, c.bias)
        self.up, self.down = nn.Linear(C, 4 * C, c.bias), nn.Linear(4 * C, C, c.bias)

    def forward(self, x, kv):
        p = self.c.dropout * self.training
        q, k, v = self.qkv(self.ln_1(x)).unflatten(-1, (3, self.c.n_head, -1)).permute(2, 0, 3, 1, 4)
        if kv is not None:
            k, v = kv(self.i, k, v)
        mask = torch.ones(q.size(2), k.size(2), dtype=torch.bool, device=x.device).tril(k.size(2) - q.size(2))
        y = F.scaled_dot_product_attention(q, k, v, mask, p)
        x = x + F.dropout(self.out(y.transpose(1, 2).flatten(2)), p)
        return x + F.dropout(self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh")), p)


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.wte, self.wpe = nn.Embedding(c.vocab_size, c.n_embd), nn.Embedding(c.block_size, c.n_embd)
        self.h = nn.ModuleList(Block(c, i) for i in range(c.n_layer))
        self.ln_f = nn.LayerNorm(c.n_embd, bias=c.bias)
        init_weights(self, c.n_layer)

    def forward(self, idx, targets=None, *, kv_cache=None):
        past = kv_cache.length if kv_cache else 0
        end = past + idx.size(1)
        if end > self.config.block_size:
            raise ValueError(f"{end} > {self.config.block_size}")
        x = F.dropout(self.wte(idx) + self.wpe.weight[past:end], self.config.dropout, self.training)
        for block in self.h:
            x = block(x, kv_cache)
        if kv_cache:
            kv_cache.length = end
        z = self.ln_f(x) @ self.wte.weight.T
        return z, None if targets is None else F.cross_entropy(z.mT, targets)

    def num_params(self, non_embedding=True):
        return sum(p.numel() for p in self.parameters()) - non_embedding * self.wpe.weight.numel()

    def flops_per_token(self, T):
        return 6.0 * self.num_params() + 12.0 * self.config.n_layer * self.config.n_embd * T


@torch.no_grad()
def init_weights(module, n_layer):
    for name, p in module.named_parameters():
        if p.dim() == 2:
            p.normal_(0, 0.02 / ((2 * n_layer) ** 0.5 if name.endswith(("out.weight", "down.weight")) else 1))
        elif name.endswith("bias"):
            p.zero_()
