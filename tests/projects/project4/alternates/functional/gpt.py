"""Parameters in nested dicts, everything else in plain functions of them."""

from dataclasses import dataclass

import torch
from cache import extended
from torch import nn
from torch.nn import functional as F

IGNORED = -100
SIZES = (("gpt2", 12, 12, 768), ("gpt2-medium", 24, 16, 1024), ("gpt2-large", 36, 20, 1280), ("gpt2-xl", 48, 25, 1600))


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
        sizes = (self.block_size, self.vocab_size, self.n_layer, self.n_head, self.n_embd)
        if any(size < 1 for size in sizes) or self.n_embd % self.n_head != 0 or not 0 <= self.dropout < 1:
            raise ValueError(f"no model has this shape: {self}")


def config_for(name):
    found = [GPTConfig(n_layer=L, n_head=H, n_embd=C) for known, L, H, C in SIZES if known == name]
    if not found:
        raise ValueError(f"{name} is none of {[size[0] for size in SIZES]}")
    return found[0]


def shapes_of(config):
    """Dotted name -> shape of every parameter."""
    C, V, T = config.n_embd, config.vocab_size, config.block_size
    linears = {"attn.qkv": (3 * C, C), "attn.out": (C, C), "mlp.up": (4 * C, C), "mlp.down": (C, 4 * C)}
    block = {f"{name}.weight": shape for name, shape in linears.items()} | {"ln1.weight": (C,), "ln2.weight": (C,)}
    if config.bias:
        block |= {f"{name.removesuffix('.weight')}.bias": shape[:1] for name, shape in block.items()}
    whole = {f"blocks.{i}.{name}": shape for i in range(config.n_layer) for name, shape in block.items()}
    whole |= {"wte.weight": (V, C), "wpe.weight": (T, C), "ln_f.weight": (C,)}
    return whole | ({"ln_f.bias": (C,)} if config.bias else {})


def count_parameters(config):
    return sum(torch.Size(shape).numel() for shape in shapes_of(config).values())


def nest(flat):
    """{"a.b": 1} -> ModuleDict(a=ParameterDict(b=1))"""
    if all("." not in name for name in flat):
        return nn.ParameterDict(flat)
    heads = dict.fromkeys(name.split(".")[0] for name in flat)
    return nn.ModuleDict(
        {head: nest({n[len(head) + 1 :]: p for n, p in flat.items() if n.startswith(head + ".")}) for head in heads}
    )


def affine(p, x):
    return F.linear(x, p["weight"], p["bias"] if "bias" in p else None)


def norm(p, x):
    return F.layer_norm(x, x.shape[-1:], p["weight"], p["bias"] if "bias" in p else None)


def attention(p, x, heads, rate, past):
    q, k, v = affine(p["qkv"], x).chunk(3, dim=-1)
    if past is not None:
        k, v = extended(*past, k, v)
    T, S = q.shape[1], k.shape[1]
    q, k, v = (t.unflatten(-1, (heads, -1)).movedim(-2, -3) for t in (q, k, v))
    visible = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
    y = F.scaled_dot_product_attention(q, k, v, visible, rate).movedim(-3, -2).flatten(-2)
    return F.dropout(affine(p["out"], y), rate)


def mlp(p, x, rate):
    return F.dropout(affine(p["down"], F.gelu(affine(p["up"], x), approximate="tanh")), rate)


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.net = nest({name: nn.Parameter(torch.ones(shape)) for name, shape in shapes_of(config).items()})
        init_weights(self, config.n_layer)

    def forward(self, idx, targets=None, *, kv_cache=None):
        net, config = self.net, self.config
        rate = config.dropout if self.training else 0.0
        start = 0 if kv_cache is None else kv_cache.length
        stop = start + idx.shape[1]
        if stop > config.block_size:
            raise ValueError(f"{stop} tokens; there is room for {config.block_size}")
        x = F.embedding(idx, net["wte"]["weight"]) + net["wpe"]["weight"][start:stop]
        x = F.dropout(x, rate)
        for i in range(config.n_layer):
            p = net["blocks"][str(i)]
            past = None if kv_cache is None else (kv_cache, i)
            x = x + attention(p["attn"], norm(p["ln1"], x), config.n_head, rate, past)
            x = x + mlp(p["mlp"], norm(p["ln2"], x), rate)
        if kv_cache is not None:
            kv_cache.length = stop
        logits = F.linear(norm(net["ln_f"], x), net["wte"]["weight"])
        if targets is None:
            return logits, None
        return logits, F.nll_loss(logits.log_softmax(-1).flatten(0, 1), targets.flatten(), ignore_index=IGNORED)

    def num_params(self, non_embedding=True):
        return count_parameters(self.config) - (self.net["wpe"]["weight"].numel() if non_embedding else 0)

    def flops_per_token(self, T):
        return 6.0 * self.num_params() + 12.0 * self.config.n_layer * self.config.n_embd * T


def init_weights(module, n_layer):
    with torch.no_grad():
        for name, p in module.named_parameters():
            if name.endswith("bias"):
                p.zero_()
            elif p.dim() > 1:
                small = "attn.out" in name or "mlp.down" in name
                p.normal_(0.0, 0.02 / (2 * n_layer) ** 0.5 if small else 0.02)
