from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Mapping, Sequence

from chain import Chain
from words import GPT2_SPLIT_PATTERN, Counts, count_words as count, split_special


def learn_merges(counted: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    return Chain(counted).learn(n_merges)


def _only_text(texts: Iterable[str], special_tokens: Sequence[str]) -> Iterable[str]:
    for text in texts:
        for part, special in split_special(text, special_tokens):
            if not special:
                yield part


def _count(job: tuple[list[str], str | None, list[str]]) -> dict[bytes, int]:
    texts, pattern, special_tokens = job
    return dict(count(_only_text(texts, special_tokens), pattern))


def count_words(
    texts: Iterable[str],
    pattern: str | None = GPT2_SPLIT_PATTERN,
    special_tokens: Sequence[str] = (),
    workers: int = 1,
) -> dict[bytes, int]:
    if workers == 1:
        return count(_only_text(texts, special_tokens), pattern)
    total = Counts()
    with multiprocessing.Pool(workers) as pool:
        for counts in pool.imap_unordered(
            _count, (([text], pattern, list(special_tokens)) for text in texts)
        ):
            for word, times in counts.items():
                total[word] += times
    return total
