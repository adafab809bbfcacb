"""From scores to text: greedy, temperature, top-k, top-p, with and without a cache, and beams.

Steps: sampling, batch, cache, beam.    B batch, T time (tokens), V = vocab_size.

The model is anything with `model.config.block_size` and `model(idx, kv_cache=cache) -> (logits (B, T, V), loss)`.
It is given at most the last block_size tokens. While text is made it is in eval mode and nothing is recorded for
gradients; afterwards, also after an exception, it is in the mode it was in. Logits and prompts stay as they are.

Source: Holtzman et al. 2020 (top-p), https://arxiv.org/abs/1904.09751; Wu et al. 2016, section 7 (beams and their
length penalty; ours is the plain power), https://arxiv.org/abs/1609.08144.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def next_token_probs(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """logits (B, V) -> probabilities (B, V), by which the next token is drawn.

    temperature divides the logits; 0 means: the likeliest token has all (the first of several that are equal).
    Then top_k keeps the k likeliest tokens, then top_p, of what is left and adds up to 1, the smallest set of likeliest
    tokens whose probabilities add up to at least p. All others get exactly 0, and what is kept adds up to 1.
    Raises ValueError for a negative or infinite temperature, top_k < 1, and top_p that is not above 0 and at most 1.
    """
    raise NotImplementedError("sampling: next_token_probs")


def generate(
    model: nn.Module,
    idx: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = False,
) -> Tensor:
    """idx (B, T) int64 -> (B, T + n), n <= max_new_tokens: each row with what was drawn after it, row by row.

    A row that has drawn eos_id goes on with eos_id; when all rows have, it ends. use_cache gives the same tokens for
    less work. (The step `cache` asks for it; until then you may leave it aside.)
    """
    raise NotImplementedError("sampling: generate")


def generate_batch(
    model: nn.Module,
    prompts: Sequence[Tensor],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """Prompts of different lengths, each (T_i,) int64, continued together: for each the prompt and its new tokens.

    Each call of the model is for all rows that go on, so there are at most max_new_tokens of them. Nobody sees the
    padding: a row's text, if it is not drawn by chance, is the one that its prompt would get alone. A row ends with its
    own eos_id; when all have, the model is not called again.
    Raises ValueError for a prompt without tokens, and if a text would not fit into block_size.
    """
    raise NotImplementedError("batch: generate_batch")


def beam_search(
    model: nn.Module,
    idx: Tensor,
    *,
    beam_width: int,
    max_new_tokens: int,
    length_penalty: float = 0.0,
    eos_id: int | None = None,
) -> list[tuple[Tensor, float]]:
    """The likeliest continuations of idx (1, T) that a search of this width finds, best first: (tokens (T + n,), score).

    score: the log-probabilities of the n new tokens, added up, divided by n ** length_penalty. At each step the
    beam_width best are kept, by score, among all one-token continuations of the texts kept before; a text that ended
    with eos_id is kept as it is and competes with them. Of equal scores the one of the better text, then of the lower
    token id, comes first. It ends when all have ended, or after max_new_tokens.
    Raises ValueError for beam_width < 1 and for more than one row.
    """
    raise NotImplementedError("beam: beam_search")
