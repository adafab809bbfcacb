"""Which items of a benchmark stand in the text that a model was trained on.

An item counts as seen if some row of N tokens of it stands in the training tokens: N = 13, as for GPT-3, and 50 where
tokens are single characters, as for GPT-4. Rows are compared by a hash of 64 bits, so memory does not grow with the
training text, and a row that only looks alike is met once in some thousand runs at most.

Sources: Brown et al. 2020, appendix C, https://arxiv.org/abs/2005.14165 (13 words, there);
OpenAI 2023, appendix C, https://arxiv.org/abs/2303.08774 (50 characters).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cohort_cli.evaluating.items import Item
from cohort_cli.training.data.shards import Split
from cohort_cli.training.data.tokenizer import Characters, Tokenizer

CHUNK = 1 << 20  # tokens that are looked at together
SIEVE = 24  # bits: most rows are told apart by a table of 2^24 yes and no
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd; 2^64 divided by the golden ratio

Hashes = NDArray[np.uint64]


def row_length(tokenizer: Tokenizer) -> int:
    return 50 if isinstance(tokenizer, Characters) else 13


def hashes(ids: NDArray[np.integer], n: int) -> Hashes:
    """A hash for each row of n ids: (N,) -> (N - n + 1,), empty if N < n."""
    count = max(len(ids) - n + 1, 0)
    mixed = (ids.astype(np.uint64) + np.uint64(1)) * FACTOR
    mixed ^= mixed >> np.uint64(29)
    found = np.zeros(count, np.uint64)
    for place in range(n):
        found = (found ^ (found >> np.uint64(32))) * FACTOR + mixed[place : place + count]
    return found


class Overlap:
    """The rows of some items, and which of them were met."""

    def __init__(self, items: Sequence[Item], tokenizer: Tokenizer) -> None:
        self.n = row_length(tokenizer)
        rows = [self._rows(item, tokenizer) for item in items]
        self.too_short = [item.id for item, found in zip(items, rows, strict=True) if not len(found)]
        self._items = [item.id for item in items]
        self._owner = np.repeat(np.arange(len(items)), [len(found) for found in rows])
        self._all = np.concatenate([np.empty(0, np.uint64), *rows])
        self._sorted = np.unique(self._all)
        self._sieve = np.zeros(1 << SIEVE, bool)
        self._sieve[_short(self._sorted)] = True
        self._met: list[Hashes] = []

    def _rows(self, item: Item, tokenizer: Tokenizer) -> Hashes:
        """Of the question with its right answer; worked examples are no part of it."""
        ids = tokenizer.encode(item.context + item.choices[item.gold])
        return hashes(np.array(ids, np.int64), self.n)

    def look(self, split: Split) -> Iterator[int]:
        """Go through the training tokens; yields how many are done, now and then."""
        for start in range(0, split.tokens, CHUNK):
            # neighbouring chunks share n - 1 tokens, so that no row is lost between them
            found = hashes(split.read(start, min(start + CHUNK + self.n - 1, split.tokens)), self.n)
            likely = found[self._sieve[_short(found)]]
            self._met.append(np.intersect1d(likely, self._sorted))
            split.forget_maps()
            yield min(start + CHUNK, split.tokens)

    def seen(self) -> list[str]:
        """The ids of the items that were met, in order."""
        met = np.isin(self._all, np.concatenate([np.empty(0, np.uint64), *self._met]))
        return [self._items[number] for number in np.unique(self._owner[met])]


def _short(found: Hashes) -> NDArray[np.int64]:
    return (found >> np.uint64(64 - SIEVE)).astype(np.int64)
