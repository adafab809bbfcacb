"""Tokens are bytes from beginning to end."""

from __future__ import annotations

from collections import defaultdict
from typing import Dict, List, Optional, Sequence, Tuple

Merge = Tuple[bytes, bytes]


class NotText(ValueError):
    pass


def text_to_bytes(text: str) -> List[int]:
    try:
        return list(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise NotText(f"no text: {error}") from error


def bytes_to_text(ids: Sequence[int], errors: str = "replace") -> str:
    return b"".join(bytes([i]) for i in ids).decode("utf-8", errors=errors)


def get_pair_counts(
    ids: Sequence[int], counts: Optional[Dict[Tuple[int, int], int]] = None
) -> Dict[Tuple[int, int], int]:
    if counts is None:
        counts = defaultdict(int)
    for pair in zip(ids[:-1], ids[1:]):
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def merge(ids: Sequence[int], pair: Tuple[int, int], new_id: int, *, start: int = 0) -> List[int]:
    out = list(ids[:start])
    i = start
    while i < len(ids):
        if tuple(ids[i : i + 2]) == tuple(pair):
            out.append(new_id)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


def merge_word(word: Tuple[bytes, ...], pair: Merge) -> Tuple[bytes, ...]:
    """The same for a word, which is a tuple of bytes."""
    out: List[bytes] = []
    fresh = False
    for token in word:
        # `fresh` marks a token that this call has made: it takes no part in a second merge
        if out and not fresh and (out[-1], token) == pair:
            out[-1] += token
            fresh = True
        else:
            out.append(token)
            fresh = False
    return tuple(out)


def learn_merges(text: str, n_merges: int) -> List[Merge]:
    word = tuple(bytes([b]) for b in text_to_bytes(text))
    merges: List[Merge] = []
    while len(merges) < n_merges and len(word) > 1:
        counts: Dict[Merge, int] = defaultdict(int)
        for pair in zip(word, word[1:]):
            counts[pair] += 1
        top = max(counts.values())
        best = max(pair for pair in counts if counts[pair] == top)
        merges.append(best)
        word = merge_word(word, best)
    return merges
