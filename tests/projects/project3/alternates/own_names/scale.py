"""What a run will need, from an inventory."""

from dataclasses import dataclass

from paper import Inventory


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
    return Inventory(config).size


def flops_per_token(config):
    looks = config.n_layers * config.max_seq_len * config.d_model
    return 6 * (Inventory(config).size + 2 * looks)


def training_memory(config, *, batch_size, dtype="float32", chunked_loss=False, shards=1):
    sizes = {"float32": {"w": 4, "a": 4, "l": 8}, "bfloat16": {"w": 6, "a": 2, "l": 10}}.get(dtype)
    if sizes is None or batch_size <= 0 or shards <= 0:
        raise ValueError("I cannot plan for this")
    stock = Inventory(config)
    tokens = batch_size * config.max_seq_len
    answer = {}
    for part, size in (("weights", sizes["w"]), ("gradients", 4), ("optimizer", 8)):
        answer[part] = size * stock.size // shards + (size * stock.size % shards > 0)
    answer["activations"] = tokens * stock.kept_per_token(sizes["a"])
    answer["logits"] = tokens * config.vocab_size * sizes["l"] if not chunked_loss else 0
    answer["total"] = sum(answer[part] for part in tuple(answer))
    return answer


def tokens_for(config, tokens_per_parameter=20):
    return Inventory(config).size * tokens_per_parameter


def hours(flops, n_gpus, peak_flops, utilisation):
    for share in (utilisation,):
        if share <= 0 or share > 1:
            raise ValueError(f"{share} is no share")
    if n_gpus < 1 or peak_flops <= 0:
        raise ValueError("nothing to compute with")
    an_hour = 3600 * n_gpus * peak_flops * utilisation
    return flops / an_hour
