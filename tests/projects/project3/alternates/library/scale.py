"""A run on paper: torch builds the model without memory and counts."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import torch
from torch import nn


@dataclass
class GPTShape:
    """The shape of a GPT-2. Given complete."""

    vocab_size: int
    n_layers: int
    d_model: int
    n_heads: int
    max_seq_len: int
    d_ff: int | None = None  # 4 * d_model if None
    bias: bool = True  # in linear layers and in LayerNorm
    tied: bool = True  # the head is the embedding's matrix


def build(config):
    C, F, b = config.d_model, config.d_ff or 4 * config.d_model, config.bias
    with torch.device("meta"):
        block = nn.ModuleList(
            [
                nn.LayerNorm(C, bias=b),
                nn.MultiheadAttention(C, config.n_heads, bias=b),
                nn.LayerNorm(C, bias=b),
                nn.Linear(C, F, bias=b),
                nn.Linear(F, C, bias=b),
            ]
        )
        rest = nn.ModuleList(
            [
                nn.Embedding(config.vocab_size, C),
                nn.Embedding(config.max_seq_len, C),
                nn.LayerNorm(C, bias=b),
                nn.Linear(C, config.vocab_size, bias=False),
            ]
        )
    if config.tied:
        rest[3].weight = rest[0].weight
    return block, rest


def count_parameters(config):
    block, rest = (sum(p.numel() for p in part.parameters()) for part in build(config))
    return config.n_layers * block + rest


def flops_per_token(config):
    return 6 * count_parameters(config) + config.n_layers * config.max_seq_len * 12 * config.d_model


def training_memory(config, *, batch_size, dtype="float32", chunked_loss=False, shards=1):
    if dtype not in {"float32", "bfloat16"} or batch_size < 1 or shards < 1:
        raise ValueError("dtype, batch_size or shards")
    kind = getattr(torch, dtype)
    wide, narrow = torch.float32.itemsize, kind.itemsize
    N, C, F = count_parameters(config), config.d_model, config.d_ff or 4 * config.d_model
    copy = narrow if kind is not torch.float32 else 0
    rows = batch_size * config.max_seq_len
    memory = {
        "weights": ceil(Fraction((wide + copy) * N, shards)),
        "gradients": ceil(Fraction(wide * N, shards)),
        "optimizer": ceil(Fraction(2 * wide * N, shards)),
        "activations": rows * config.n_layers * (2 * C * wide + (6 * C + 2 * F) * narrow),
        "logits": 0 if chunked_loss else rows * config.vocab_size * (copy + 2 * wide),
    }
    memory["total"] = sum(memory.values())
    return memory


def tokens_for(config, tokens_per_parameter=20):
    return count_parameters(replace(config)) * tokens_per_parameter


def hours(flops, n_gpus, peak_flops, utilisation):
    if utilisation > 1 or min(n_gpus, peak_flops, utilisation) <= 0:
        raise ValueError("utilisation is a share of 1; there must be devices")
    return flops / (n_gpus * peak_flops * utilisation * 3600)
