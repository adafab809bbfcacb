from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain, islice, pairwise

import regex
from latin import bytes_pairs, replaced, to_latin

# As OpenAI wrote it.
GPT2_SPLIT_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def pretokenize(text: str, pattern: str | None = GPT2_SPLIT_PATTERN) -> Iterator[str]:
    if pattern is None:
        return filter(None, (text,))
    return (found[0] for found in regex.finditer(pattern, text))


def count_words(texts: Iterable[str], pattern: str | None = GPT2_SPLIT_PATTERN) -> dict[bytes, int]:
    words = chain.from_iterable(pretokenize(text, pattern) for text in texts)
    return Counter(word.encode() for word in words)


def _add(total: Counter[tuple[str, str]], item: tuple[tuple[str, ...], int]) -> Counter[tuple[str, str]]:
    for pair in pairwise(item[0]):
        total[pair] += item[1]
    return total


def _merges(words: list[tuple[tuple[str, ...], int]]) -> Iterator[tuple[str, str]]:
    while counts := reduce(_add, words, Counter[tuple[str, str]]()):
        best = max(counts, key=lambda pair: (counts[pair], pair))
        yield best
        new = "".join(best)
        words = [(tuple(replaced(word, best, new)), times) for word, times in words]


def learn_merges(words: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    start = [(tuple(to_latin(word)), times) for word, times in words.items()]
    return bytes_pairs(islice(_merges(start), n_merges))


def split_special(text: str, special_tokens: Sequence[str]) -> Iterator[tuple[str, bool]]:
    longest_first = sorted(filter(None, special_tokens), key=len, reverse=True)
    if not longest_first:
        return ((part, False) for part in (text,) if part)
    parts = regex.split(f"({'|'.join(map(regex.escape, longest_first))})", text)
    return ((part, bool(place % 2)) for place, part in enumerate(parts) if part)
