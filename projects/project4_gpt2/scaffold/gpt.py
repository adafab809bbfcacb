"""GPT-2: its configurations, and the network itself.    Steps: config, model, cache

B batch, T time (tokens), C = n_embd, H = n_head, D = C / H, V = vocab_size, L = n_layer.

Sources: Radford et al. 2019 (the layout, the four sizes, the smaller start of residual projections),
https://huggingface.co/openai-community/gpt2; Press and Wolf 2017 (the tied head), https://arxiv.org/abs/1608.05859;
Chowdhery et al. 2022, appendix B (floating-point operations per token), https://arxiv.org/abs/2204.02311.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from dataclasses import dataclass

from cache import KVCache
from torch import Tensor, nn

IGNORED = -100  # a target that no loss is computed for


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model. Raises ValueError for one that cannot be built: each of the five sizes is at least 1, n_head
    divides n_embd, and dropout is at least 0 and below 1.
    """

    block_size: int = 1024  # tokens that the model can see
    vocab_size: int = 50257
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True

    def __post_init__(self) -> None:
        raise NotImplementedError("config: GPTConfig.__post_init__")


def config_for(name: str) -> GPTConfig:
    """The configuration of one of GPT-2's four sizes: gpt2, gpt2-medium, gpt2-large, gpt2-xl."""
    raise NotImplementedError("config: config_for")


def count_parameters(config: GPTConfig) -> int:
    """Parameters of GPT(config), by arithmetic. The head shares the matrix of the token embedding."""
    raise NotImplementedError("config: count_parameters")


class GPT(nn.Module):
    """For each position, a score (logit) for every token that could come next.

    Embedding of the token plus embedding of the position; n_layer blocks; a last norm; the head, which is the token
    embedding's own matrix. A block is x + attention(norm(x)), then x + mlp(norm(x)): causal attention with n_head heads,
    an MLP with 4 C inner values and GELU in its tanh form. Every norm is a LayerNorm with eps = 1e-5. With bias=False
    neither linear layers nor norms have one. Dropout acts, in training, on the sum of the two embeddings, on the weights
    of attention, and on what each branch adds to x. `config` is the configuration.
    """

    def __init__(self, config: GPTConfig) -> None:
        raise NotImplementedError("model: GPT.__init__")

    def forward(
        self, idx: Tensor, targets: Tensor | None = None, *, kv_cache: KVCache | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """idx (B, T) int64 -> logits (B, T, V), and the mean cross-entropy in nats if there are targets, else None.

        targets (B, T): the token after each position; -100 is left out of the mean.
        kv_cache: what was computed for the tokens before idx; idx is added to it. (The step `cache` asks for it; until
            then you may leave it aside.)
        Raises ValueError for more tokens than block_size, those in the cache included, before the cache has changed.
        """
        raise NotImplementedError("model: GPT.forward")

    def num_params(self, non_embedding: bool = True) -> int:
        """All parameters, the tied matrix once; non_embedding leaves out the positions' (the tied one also scores)."""
        raise NotImplementedError("model: GPT.num_params")

    def flops_per_token(self, T: int) -> float:
        """Floating-point operations of forward and backward pass, per token of a sequence of T: 6 N + 12 L C T.

        6 for each parameter but the positions' (2 forward, 4 backward), and 12 L C T for the scores of attention
        and the sums that they weight, over all T keys (a causal kernel can save half of that).
        """
        raise NotImplementedError("model: GPT.flops_per_token")


def init_weights(module: nn.Module, n_layer: int) -> None:
    """Give `module` and all in it GPT-2's start: matrices N(0, 0.02), biases 0; gains of the norms stay 1.

    The two projections per block that write into the residual stream start at 0.02 / sqrt(2 n_layer), so that the
    stream does not grow with depth.
    """
    raise NotImplementedError("model: init_weights")
