"""Counting characters, pairs and triples: the first language models.    Steps: counts, nll

N characters in a text, V = vocabulary size, n = characters in a gram: 1 unigram, 2 bigram, 3 trigram.

ids are int64 tensors of one dimension, and each id is from 0 to V - 1. Arguments stay as they are.

Source: Karpathy, building makemore, https://www.youtube.com/watch?v=PaCmpygFfXo.

You may add helper functions and files as you like.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def vocabulary(text: str) -> list[str]:
    """Every character of the text once, sorted as Python sorts strings. vocabulary("hello") is ["e", "h", "l", "o"].

    Spaces, line ends, capitals and digits are characters like any other. The place in the list is the character's id.
    """
    return sorted(set(text))


def encode(text: str, vocabulary: Sequence[str]) -> Tensor:
    """text of N characters -> (N,) int64: the id of each character, which is its place in the vocabulary.

    A character that the vocabulary lacks raises KeyError or ValueError, whichever is easier.
    """
    place = {character: id for id, character in enumerate(vocabulary)}
    return torch.tensor([place[character] for character in text], dtype=torch.int64)


def decode(ids: Tensor | Sequence[int], vocabulary: Sequence[str]) -> str:
    """(N,) ids, a tensor or a list -> the text of N characters. decode(encode(text, v), v) is the text again."""
    return "".join(vocabulary[int(id)] for id in ids)


def count(ids: Tensor, n: int, vocab_size: int) -> Tensor:
    """ids (N,) -> (V,) * n whole numbers (int64): how often each gram of n characters occurs. n is 1, 2 or 3.

    counts[a] says how often a occurs, counts[a, b] how often b follows a directly, counts[a, b, c] the same for three.
    Grams overlap: N characters hold N - n + 1 of them. The end of the text is not joined to its beginning.
    420,000 ids must be counted within the 10 seconds of CPU time that a check has; a plain loop does that too.
    """
    counts = torch.zeros([vocab_size] * n, dtype=torch.int64)
    counts.index_put_(_grams(ids, n), torch.tensor(1), accumulate=True)
    return counts


def probabilities(counts: Tensor, alpha: float) -> Tensor:
    """counts (..., V) -> (..., V) float64: the probability of each next character, after each context.

    alpha is added to every count first, so that nothing is impossible. Then each row (the last dimension) is divided
    by its own sum: (count + alpha) / (sum of the row + alpha * V). With alpha = 0 no row of zeros will be given.
    """
    smoothed = counts.to(torch.float64) + alpha
    return smoothed / smoothed.sum(dim=-1, keepdim=True)


def heldout_nll(train: Tensor, validation: Tensor, n: int, vocab_size: int, alpha: float = 0.1) -> float:
    """Nats per character of the n-gram model: counted on train (N,), scored on validation (M,). float64.

    Each character of validation that has n - 1 characters before it *in validation* is scored: M - n + 1 of them.
    The answer is the mean of -ln(probability), with add-alpha smoothing.
    """
    table = probabilities(count(train, n, vocab_size), alpha)
    return -float(table[_grams(validation, n)].log().mean())


def _grams(ids: Tensor, n: int) -> tuple[Tensor, ...]:
    """ids (N,) -> n tensors (N - n + 1,): the first character of each gram, the second, the third."""
    last = len(ids) - n + 1
    return tuple(ids[k : last + k] for k in range(n))
