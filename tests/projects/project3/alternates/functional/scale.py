"""A run on paper: sums over tables."""

from dataclasses import dataclass
from math import prod


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


def shapes(c):
    """(how often, shape) of each kind of parameter."""
    C, F, L = c.d_model, c.d_ff if c.d_ff is not None else c.d_model * 4, c.n_layers
    yield from ((1, (c.vocab_size, C)), (1, (c.max_seq_len, C)), (2 * L + 1, (C,)))
    yield from ((L, (3 * C, C)), (L, (C, C)), (L, (F, C)), (L, (C, F)))
    if c.bias:
        yield from ((2 * L + 1, (C,)), (L, (3 * C,)), (L, (C,)), (L, (F,)), (L, (C,)))
    if not c.tied:
        yield 1, (c.vocab_size, C)


def count_parameters(config):
    return sum(times * prod(shape) for times, shape in shapes(config))


def flops_per_token(config):
    return sum(
        (6 * count_parameters(config), prod((12, config.n_layers, config.d_model, config.max_seq_len)))
    )


TABLE = {"float32": (4, 4, 8), "bfloat16": (6, 2, 10)}


def training_memory(config, *, batch_size, dtype="float32", chunked_loss=False, shards=1):
    if dtype not in TABLE:
        raise ValueError(f"no such dtype: {dtype}")
    if not (batch_size > 0 < shards):
        raise ValueError("batch_size and shards are counts")
    weight, narrow, logit = TABLE[dtype]
    C, F = config.d_model, config.d_ff if config.d_ff is not None else config.d_model * 4
    tokens, n = batch_size * config.max_seq_len, count_parameters(config)
    share = lambda size: (size * n - 1) // shards + 1  # noqa: E731
    kept = ((4, C), (narrow, C), (narrow, 3 * C), (narrow, C), (4, C), (narrow, C), (narrow, F), (narrow, F))
    parts = dict(weights=share(weight), gradients=share(4), optimizer=share(8))
    parts |= dict(activations=tokens * config.n_layers * sum(size * width for size, width in kept))
    parts |= dict(logits=[tokens * config.vocab_size * logit, 0][bool(chunked_loss)])
    return dict(parts, total=sum(parts.values()))


def tokens_for(config, tokens_per_parameter=20):
    return prod((tokens_per_parameter, count_parameters(config)))


def hours(flops, n_gpus, peak_flops, utilisation):
    if not (n_gpus > 0 and peak_flops > 0 and 0 < utilisation <= 1):
        raise ValueError("counts above 0, and a share of at most 1")
    return flops / prod((n_gpus, peak_flops, utilisation, 60, 60))
