"""A run on paper, short."""

import math
from dataclasses import dataclass


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


def count_parameters(config):
    c = config
    C, F, b = c.d_model, c.d_ff or 4 * c.d_model, int(c.bias)
    block = 4 * C * C + 2 * C * F + 2 * C + b * (7 * C + F)
    return (1 + (not c.tied)) * c.vocab_size * C + c.max_seq_len * C + c.n_layers * block + C + b * C


def flops_per_token(config):
    return 6 * count_parameters(config) + 12 * config.n_layers * config.d_model * config.max_seq_len


def training_memory(config, *, batch_size, dtype="float32", chunked_loss=False, shards=1):
    if min(batch_size, shards) < 1 or dtype not in ("float32", "bfloat16"):
        raise ValueError("batch_size, shards or dtype")
    N, F = count_parameters(config), config.d_ff or 4 * config.d_model
    weights, small, logits = (4, 4, 8) if dtype == "float32" else (6, 2, 10)
    T = batch_size * config.max_seq_len
    parts = {
        name: (k * N + shards - 1) // shards
        for name, k in (("weights", weights), ("gradients", 4), ("optimizer", 8))
    }
    parts["activations"] = T * config.n_layers * (8 * config.d_model + small * (6 * config.d_model + 2 * F))
    parts["logits"] = T * config.vocab_size * logits * (not chunked_loss)
    return {**parts, "total": sum(parts.values())}


def tokens_for(config, tokens_per_parameter=20):
    return count_parameters(config) * tokens_per_parameter


def hours(flops, n_gpus, peak_flops, utilisation):
    if not (0 < utilisation <= 1 and n_gpus >= 1 and peak_flops > 0 and math.isfinite(flops)):
        raise ValueError("utilisation is a share, and there must be devices")
    return flops / 3600 / n_gpus / peak_flops / utilisation
