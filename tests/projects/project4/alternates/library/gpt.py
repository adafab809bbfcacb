"""torch's own nn.TransformerEncoderLayer; with a cache, the same weights by way of its parts."""

import functools
from dataclasses import dataclass, fields

import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu, linear, scaled_dot_product_attention

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
        for field in fields(self)[:5]:
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} < 1")
        if divmod(self.n_embd, self.n_head)[1] != 0:
            raise ValueError("n_embd % n_head")
        if not (0 <= self.dropout < 1):
            raise ValueError("dropout")


SIZES = {
    "gpt2": GPTConfig(),
    "gpt2-medium": GPTConfig(n_layer=24, n_head=16, n_embd=1024),
    "gpt2-large": GPTConfig(n_layer=36, n_head=20, n_embd=1280),
    "gpt2-xl": GPTConfig(n_layer=48, n_head=25, n_embd=1600),
}


def config_for(name):
    try:
        return SIZES[name]
    except KeyError:
        raise ValueError(f"unknown size {name!r}") from None


def count_parameters(config):
    """torch builds it on the meta device, where nothing has numbers or needs memory."""
    with torch.device("meta"):
        return GPT(config).num_params(non_embedding=False)


class Layer(nn.TransformerEncoderLayer):
    def __init__(self, config, number):
        C, tanh_gelu = config.n_embd, functools.partial(gelu, approximate="tanh")
        super().__init__(
            C, config.n_head, 4 * C, config.dropout, tanh_gelu, 1e-5, batch_first=True, norm_first=True, bias=config.bias
        )
        self.dropout = nn.Identity()  # torch's is behind the activation too, GPT-2's is not
        self.number = number

    def with_cache(self, x, cache):
        mine = self.self_attn
        qkv = linear(self.norm1(x), mine.in_proj_weight, mine.in_proj_bias)
        q, k, v = (t.unflatten(-1, (mine.num_heads, -1)).transpose(1, 2) for t in qkv.chunk(3, dim=-1))
        k, v = cache.update(self.number, k, v)
        seen = torch.arange(k.size(2), device=x.device) <= torch.arange(cache.length, k.size(2), device=x.device)[:, None]
        p = mine.dropout if self.training else 0.0
        y = scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=p)
        x = x + self.dropout1(mine.out_proj(y.transpose(1, 2).flatten(2)))
        return x + self._ff_block(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        C = config.n_embd
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, C),
                "wpe": nn.Embedding(config.block_size, C),
                "drop": nn.Dropout(config.dropout),
                "h": nn.ModuleList([Layer(config, i) for i in range(config.n_layer)]),
                "ln_f": nn.LayerNorm(C, bias=config.bias),
            }
        )
        self.lm_head = nn.Linear(C, config.vocab_size, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight
        init_weights(self, config.n_layer)

    def forward(self, idx, targets=None, *, kv_cache=None):
        net, T = self.transformer, idx.shape[1]
        start = 0 if kv_cache is None else kv_cache.length
        if start + T > self.config.block_size:
            raise ValueError(f"at most {self.config.block_size} tokens, not {start + T}")
        x = net["drop"](net["wte"](idx) + net["wpe"](start + torch.arange(T, device=idx.device)))
        if kv_cache is None:
            hidden = nn.Transformer.generate_square_subsequent_mask(T, device=x.device, dtype=x.dtype)
            for layer in net["h"]:
                x = layer(x, src_mask=hidden, is_causal=True)
        else:
            for layer in net["h"]:
                x = layer.with_cache(x, kv_cache)
            kv_cache.length = start + T
        logits = self.lm_head(net["ln_f"](x))
        if targets is None:
            return logits, None
        return logits, cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))

    def num_params(self, non_embedding=True):
        flat = nn.utils.parameters_to_vector(self.parameters())
        return flat.numel() - self.transformer["wpe"].weight.numel() * int(non_embedding)

    def flops_per_token(self, T):
        c = self.config
        return 6 * float(self.num_params()) + 12 * c.n_layer * c.n_embd * T


def init_weights(module, n_layer):
    def start(part):
        if isinstance(part, nn.Embedding | nn.Linear):
            nn.init.normal_(part.weight, std=0.02)
        if isinstance(part, nn.MultiheadAttention):
            nn.init.normal_(part.in_proj_weight, std=0.02)
            if part.in_proj_bias is not None:
                nn.init.zeros_(part.in_proj_bias)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, Layer):  # apply() comes to the children first
            for last in (part.self_attn.out_proj, part.linear2):
                nn.init.normal_(last.weight, std=0.02 * (2 * n_layer) ** -0.5)

    module.apply(start)
