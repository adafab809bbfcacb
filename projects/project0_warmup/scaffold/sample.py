"""Writing text with an n-gram model, one character after another.    Step: sampling

V = vocabulary size, n = characters in a gram. Arguments stay as they are.

All chance comes from the generator that is given: with the same seed the same text is written again.

Source: Karpathy, building makemore, https://www.youtube.com/watch?v=PaCmpygFfXo.

You may add helper functions and files as you like.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def draw(probs: Tensor, generator: torch.Generator) -> int:
    """probs (V,), which add up to 1 -> one id, a Python int: id i comes with probability probs[i].

    An id with probability 0 never comes. torch.multinomial may be used; it takes a generator.
    """
    raise NotImplementedError("sampling: draw")


def generate(probs: Tensor, start: Sequence[int], length: int, generator: torch.Generator) -> list[int]:
    """probs (V,) * n, from ngrams.probabilities -> a list of int: the ids of start, and exactly `length` new ones.

    Each new id is drawn from the row of the n - 1 ids before it, and then is itself part of what is before the next.
    Raises ValueError if start has fewer than n - 1 ids. It may have more, and for n = 1 it may be empty.
    """
    raise NotImplementedError("sampling: generate")
