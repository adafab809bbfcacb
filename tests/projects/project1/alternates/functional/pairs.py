"""Everything is an expression. Bytes are written as latin-1 text here: one character per byte, same order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from latin import bytes_pairs, replaced, to_latin


def text_to_bytes(text: str) -> list[int]:
    return [*text.encode()]


def bytes_to_text(ids: Sequence[int], errors: str = "replace") -> str:
    return bytes(ids).decode(errors=errors)


def get_pair_counts(
    ids: Sequence[int], counts: dict[tuple[int, int], int] | None = None
) -> dict[tuple[int, int], int]:
    found = Counter(pairwise(ids))
    if counts is None:
        return found
    counts |= {pair: counts.get(pair, 0) + times for pair, times in found.items()}
    return counts


def merge(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    return list(replaced(ids, pair, new_id))


def _merges(tokens: list[str]) -> Iterator[tuple[str, str]]:
    while counts := Counter(pairwise(tokens)):
        best = max((times, pair) for pair, times in counts.items())[1]
        yield best
        tokens = list(replaced(tokens, best, "".join(best)))


def learn_merges(text: str, n_merges: int) -> list[tuple[bytes, bytes]]:
    return bytes_pairs(islice(_merges(list(to_latin(text.encode()))), n_merges))
