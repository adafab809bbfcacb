from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import regex
from flat import FlatWords

GPT2_SPLIT_PATTERN = (
    r"(?:'(?:s|t|re|ve|m|ll|d))|(?: ?(?:\p{L}+|\p{N}+|[^\s\p{L}\p{N}]+))|(?:\s+(?!\S))|(?:\s+)"
)


def pretokenize(text: str, pattern: str | None = GPT2_SPLIT_PATTERN) -> Iterator[str]:
    """The words between the places where a match begins or ends: so nothing is lost with any pattern."""
    if pattern is None:
        cuts = np.array([0, len(text)])
    else:
        spans = [match.span() for match in regex.finditer(pattern, text)]
        cuts = np.unique(np.array([(0, len(text)), *spans]))
    for begin, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        if begin < end:
            yield text[begin:end]


def count_words(texts: Iterable[str], pattern: str | None = GPT2_SPLIT_PATTERN) -> dict[bytes, int]:
    counts: dict[bytes, int] = {}
    for text in texts:
        for word in pretokenize(text, pattern):
            data = word.encode("utf-8")
            counts[data] = counts.get(data, 0) + 1
    return counts


def learn_merges(words: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    flat = FlatWords(words)
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < n_merges:
        codes, counts = flat.count()
        if not len(codes):
            break
        left, right = flat.greatest(codes[counts == counts.max()])
        merges.append((flat.tokens[left], flat.tokens[right]))
        flat.merge(left, right)
    return merges


def split_special(text: str, special_tokens: Sequence[str]) -> Iterator[tuple[str, bool]]:
    names = [name for name in special_tokens if name]
    begin = 0
    while begin < len(text):
        found = [(text.find(name, begin), -len(name), name) for name in names]
        found = [entry for entry in found if entry[0] >= 0]
        if not found:
            break
        place, _, name = min(found)
        if place > begin:
            yield text[begin:place], False
        yield name, True
        begin = place + len(name)
    if begin < len(text):
        yield text[begin:], False
