"""A run on paper, counted piece by piece."""

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


def linear(inputs, outputs, has_bias):
    weights = inputs * outputs
    if has_bias:
        return weights + outputs
    return weights


def layer_norm(width, has_bias):
    if has_bias:
        return width + width
    return width


def hidden_width(config):
    if config.d_ff is not None:
        return config.d_ff
    return 4 * config.d_model


def count_parameters(config):
    width = config.d_model
    total = 0
    total += config.vocab_size * width
    total += config.max_seq_len * width
    for _ in range(config.n_layers):
        total += layer_norm(width, config.bias)
        for _ in ("query", "key", "value", "output"):
            total += linear(width, width, config.bias)
        total += layer_norm(width, config.bias)
        total += linear(width, hidden_width(config), config.bias)
        total += linear(hidden_width(config), width, config.bias)
    total += layer_norm(width, config.bias)
    if not config.tied:
        total += linear(width, config.vocab_size, False)
    return total


def flops_per_token(config):
    forward = 2 * count_parameters(config)
    backward = 2 * forward
    scores = 2 * config.d_model * config.max_seq_len
    weighted_sum = 2 * config.d_model * config.max_seq_len
    attention = 3 * (scores + weighted_sum) * config.n_layers
    return forward + backward + attention


def round_up(number, parts):
    quotient, rest = divmod(number, parts)
    if rest > 0:
        quotient += 1
    return quotient


def training_memory(config, *, batch_size, dtype="float32", chunked_loss=False, shards=1):
    if batch_size < 1:
        raise ValueError("batch_size must be at least 1")
    if shards < 1:
        raise ValueError("shards must be at least 1")
    if dtype == "float32":
        bytes_of_weight, bytes_of_others, bytes_of_logit = 4, 4, 8
    elif dtype == "bfloat16":
        bytes_of_weight, bytes_of_others, bytes_of_logit = 6, 2, 10
    else:
        raise ValueError("dtype must be float32 or bfloat16")
    count = count_parameters(config)
    width = config.d_model
    per_token_and_layer = 0
    per_token_and_layer += 2 * width * 4
    per_token_and_layer += 2 * width * bytes_of_others
    per_token_and_layer += 3 * width * bytes_of_others
    per_token_and_layer += width * bytes_of_others
    per_token_and_layer += 2 * hidden_width(config) * bytes_of_others
    tokens = batch_size * config.max_seq_len
    result = {}
    result["weights"] = round_up(bytes_of_weight * count, shards)
    result["gradients"] = round_up(4 * count, shards)
    result["optimizer"] = round_up(2 * 4 * count, shards)
    result["activations"] = per_token_and_layer * tokens * config.n_layers
    result["logits"] = 0
    if not chunked_loss:
        result["logits"] = tokens * config.vocab_size * bytes_of_logit
    result["total"] = (
        result["weights"]
        + result["gradients"]
        + result["optimizer"]
        + result["activations"]
        + result["logits"]
    )
    return result


def tokens_for(config, tokens_per_parameter=20):
    return tokens_per_parameter * count_parameters(config)


def hours(flops, n_gpus, peak_flops, utilisation):
    if utilisation <= 0 or utilisation > 1:
        raise ValueError("utilisation must be above 0 and at most 1")
    if n_gpus < 1:
        raise ValueError("there must be a device")
    if peak_flops <= 0:
        raise ValueError("peak_flops must be above 0")
    flops_per_second = n_gpus * peak_flops * utilisation
    seconds = flops / flops_per_second
    minutes = seconds / 60
    return minutes / 60
