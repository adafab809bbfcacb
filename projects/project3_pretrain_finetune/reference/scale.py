"""What a run will need, on paper: parameters, FLOPs, memory, tokens, hours.    Step: scale

V = vocab_size, L = n_layers, C = d_model, F = d_ff, T = max_seq_len (tokens of a sequence), B = batch_size,
N = number of parameters. 1 GB is 10^9 bytes.

Sources: Kaplan et al. 2020, section 2.1 (6 N), https://arxiv.org/abs/2001.08361; Chowdhery et al. 2022, appendix B
(12 L C T), https://arxiv.org/abs/2204.02311; Hoffmann et al. 2022 (20 tokens per parameter); Korthikanti et al. 2022,
section 4 (activations), https://arxiv.org/abs/2205.05198.
"""

from __future__ import annotations

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


def count_parameters(config: GPTShape) -> int:
    """N: every number that is trained, each once.

    Embeddings of tokens (V, C) and of positions (T, C). In each block: two LayerNorms (gain and bias, C each), one
    linear layer for queries, keys and values (C -> 3C), one behind the heads (C -> C), two in the MLP (C -> F -> C). A
    last LayerNorm. The head (C -> V) has no bias, and no matrix of its own if tied. With bias=False no linear layer and
    no LayerNorm has a bias. GPT-2's four sizes have 124,439,808, 354,823,168, 774,030,080 and 1,557,611,200.
    """
    V, L, C, T = config.vocab_size, config.n_layers, config.d_model, config.max_seq_len
    F = _d_ff(config)
    norm = C * (1 + config.bias)
    matrices = C * 3 * C + C * C + C * F + F * C
    biases = (3 * C + C + F + C) * config.bias
    embeddings = V * C + T * C + (0 if config.tied else V * C)
    return embeddings + L * (2 * norm + matrices + biases) + norm


def flops_per_token(config: GPTShape) -> int:
    """FLOPs of forward and backward together, for one token of a sequence of T tokens: 6 N + 12 L C T.

    6 N: each parameter is multiplied and added once in the forward pass (2 FLOPs), and backward needs two such products,
    one for the inputs' gradient and one for the weights'. N is count_parameters, all of it, as nanoGPT's and llm.c's
    logs have it within one per cent; the table of positions (and the embedding, if there is a head of its own) does no
    product and is counted all the same.
    12 L C T: scores and the weighted sum of values, T x T products of length C in every layer. The mask is ignored: the
    half that it hides is counted.
    """
    attention = 12 * config.n_layers * config.d_model * config.max_seq_len
    return 6 * count_parameters(config) + attention


def training_memory(
    config: GPTShape,
    *,
    batch_size: int,
    dtype: str = "float32",
    chunked_loss: bool = False,
    shards: int = 1,
) -> dict[str, int]:
    """Bytes on one device while training with AdamW, by part. Whole numbers, rounded up.

    The keys are weights, gradients, optimizer, activations, logits, total. batch_size: sequences of T tokens in one
    forward pass on this device. dtype: "float32", or "bfloat16" for autocast, where the weights stay float32.
    Raises ValueError for another word, and if batch_size or shards is below 1.

    weights: 4 N; bfloat16: 6 N, since autocast keeps a copy in 2 bytes. gradients: 4 N. optimizer: 8 N, two moments.
    shards: over how many devices these three are divided evenly (FSDP); activations and logits never are.

    activations, for each of the B * T tokens and each layer: what backward will ask for when attention is fused (the
    T x T weights are never stored). Inputs of both LayerNorms (2 C), their outputs (2 C), queries, keys and values
    (3 C), the output of attention (1 C), the hidden layer before and behind GELU (2 F). float32: 4 bytes each.
    bfloat16: the two inputs of the LayerNorms 4 bytes each, all others 2.
    logits, for each token and each of V words: float32 8 bytes (the logits and their log-softmax), bfloat16 10 (the
    logits in 2 bytes, in 4 for the loss, and their log-softmax). 0 if chunked_loss: the loss is made piece by piece.
    """
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"dtype {dtype!r} is not known; there are 'float32' and 'bfloat16'")
    if batch_size < 1 or shards < 1:
        raise ValueError(f"batch_size and shards must be at least 1, got {batch_size} and {shards}")
    half = dtype == "bfloat16"
    N, C, F = count_parameters(config), config.d_model, _d_ff(config)
    tokens = batch_size * config.max_seq_len
    wide, narrow = 2 * C, 6 * C + 2 * F  # numbers per token and layer: inputs of the norms, all others
    memory = {
        "weights": _share((6 if half else 4) * N, shards),
        "gradients": _share(4 * N, shards),
        "optimizer": _share(8 * N, shards),
        "activations": tokens * config.n_layers * (4 * wide + (2 if half else 4) * narrow),
        "logits": 0 if chunked_loss else tokens * config.vocab_size * (10 if half else 8),
    }
    return memory | {"total": sum(memory.values())}


def tokens_for(config: GPTShape, tokens_per_parameter: int = 20) -> int:
    """How many tokens to train on: tokens_per_parameter * N. 20 is what Hoffmann et al. found best for a given cost."""
    return tokens_per_parameter * count_parameters(config)


def hours(flops: float, n_gpus: int, peak_flops: float, utilisation: float) -> float:
    """How long `flops` FLOPs take, in hours.

    peak_flops: FLOPs per second that one device can do at best, such as 989e12 (H100, bfloat16). utilisation: the
    share of it that is reached, above 0 and at most 1; 0.4 is good. Raises ValueError for another utilisation (40 was
    meant as per cent), and if n_gpus is below 1 or peak_flops is not above 0.
    """
    if not 0 < utilisation <= 1:
        raise ValueError(f"utilisation {utilisation} is no share; write 0.4 for 40 per cent")
    if n_gpus < 1 or peak_flops <= 0:
        raise ValueError(f"n_gpus {n_gpus} and peak_flops {peak_flops} must be above 0")
    return flops / (n_gpus * peak_flops * utilisation) / 3600


def _d_ff(config: GPTShape) -> int:
    return 4 * config.d_model if config.d_ff is None else config.d_ff


def _share(n_bytes: int, shards: int) -> int:
    """The largest of `shards` even parts: rounded up."""
    return -(-n_bytes // shards)
