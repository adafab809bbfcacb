"""GPTConfig and what follows from it on paper."""

from dataclasses import dataclass

WIDTHS = {"": (12, 768), "-medium": (24, 1024), "-large": (36, 1280), "-xl": (48, 1600)}


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
        wrong = [name for name, size in vars(self).items() if name not in ("dropout", "bias") and size <= 0]
        if wrong:
            raise ValueError(", ".join(wrong))
        if self.n_embd != self.n_embd // self.n_head * self.n_head:
            raise ValueError("the heads do not share the width evenly")
        if self.dropout >= 1 or self.dropout < 0:
            raise ValueError("the share to drop")


def config_for(name):
    for suffix, (depth, width) in WIDTHS.items():
        if name == "gpt2" + suffix:
            return GPTConfig(n_layer=depth, n_head=width // 64, n_embd=width)
    raise ValueError(f"no such size: {name}")


def count_parameters(config):
    C = config.n_embd
    matrices = [(config.vocab_size, C), (config.block_size, C)]
    matrices += config.n_layer * [(C, 3 * C), (C, C), (C, 4 * C), (4 * C, C)]
    vectors = (2 * config.n_layer + 1) * [C]
    if config.bias:
        vectors = 2 * vectors + config.n_layer * [3 * C, C, 4 * C, C]
    return sum(rows * columns for rows, columns in matrices) + sum(vectors)
