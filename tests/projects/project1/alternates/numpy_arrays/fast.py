from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from multiprocessing import get_context

import numpy as np
from flat import FlatWords
from words import GPT2_SPLIT_PATTERN, pretokenize, split_special


def learn_merges(counted: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    flat = FlatWords(counted)
    codes, counts = flat.count()
    slot = {code: number for number, code in enumerate(codes.tolist())}
    codes = list(codes.tolist())
    counts = np.concatenate([counts, np.zeros(1024, dtype=np.int64)])
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < n_merges:
        most = counts.max()
        if most <= 0:
            break
        left, right = flat.greatest(np.array([codes[number] for number in np.flatnonzero(counts == most)]))
        merges.append((flat.tokens[left], flat.tokens[right]))
        for code, change in zip(*(array.tolist() for array in flat.merge(left, right)), strict=True):
            number = slot.get(code)
            if number is None:
                number = slot[code] = len(codes)
                codes.append(code)
                if number == len(counts):
                    counts = np.concatenate([counts, np.zeros(len(counts), dtype=np.int64)])
            counts[number] += change
    return merges


def _of_text(job: tuple[str, str | None, tuple[str, ...]]) -> dict[bytes, int]:
    text, pattern, special_tokens = job
    words = [
        word.encode("utf-8")
        for part, special in split_special(text, special_tokens)
        if not special
        for word in pretokenize(part, pattern)
    ]
    unique, counts = np.unique(np.array(words, dtype=object), return_counts=True)
    return dict(zip(unique.tolist(), counts.tolist(), strict=True))


def count_words(
    texts: Iterable[str],
    pattern: str | None = GPT2_SPLIT_PATTERN,
    special_tokens: Sequence[str] = (),
    workers: int = 1,
) -> dict[bytes, int]:
    jobs = ((text, pattern, tuple(special_tokens)) for text in texts)
    counts: dict[bytes, int] = {}

    def add(results: Iterable[dict[bytes, int]]) -> None:
        for result in results:
            for word, n in result.items():
                counts[word] = counts.get(word, 0) + n

    if workers == 1:
        add(map(_of_text, jobs))
    else:
        with get_context("spawn").Pool(workers) as pool:
            add(pool.imap(_of_text, jobs, 32))
    return counts
