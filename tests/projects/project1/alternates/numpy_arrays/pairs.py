from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def text_to_bytes(text: str) -> list[int]:
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).tolist()


def bytes_to_text(ids: Sequence[int], errors: str = "replace") -> str:
    return np.asarray(ids, dtype=np.uint8).tobytes().decode("utf-8", errors)


def get_pair_counts(
    ids: Sequence[int], counts: dict[tuple[int, int], int] | None = None
) -> dict[tuple[int, int], int]:
    counts = {} if counts is None else counts
    array = np.asarray(ids, dtype=np.int64)
    if len(array) < 2:
        return counts
    pairs, times = np.unique(np.stack([array[:-1], array[1:]], axis=1), axis=0, return_counts=True)
    for (left, right), n in zip(pairs.tolist(), times.tolist(), strict=True):
        counts[left, right] = counts.get((left, right), 0) + n
    return counts


def merge_places(array: np.ndarray, left: int, right: int) -> np.ndarray:
    """Where the pair is merged, from left to right and without overlap."""
    places = np.flatnonzero((array[:-1] == left) & (array[1:] == right))
    if left != right or len(places) < 2:
        return places
    # In a row of places next to each other every second one is kept, counted from its beginning.
    index = np.arange(len(places))
    begins = np.concatenate([[True], np.diff(places) > 1])
    in_row = index - np.maximum.accumulate(np.where(begins, index, 0))
    return places[in_row % 2 == 0]


def merge_array(array: np.ndarray, left: int, right: int, new: int) -> np.ndarray:
    places = merge_places(array, left, right)
    if not len(places):
        return array.copy()
    out = array.copy()
    out[places] = new
    return np.delete(out, places + 1)


def merge(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    return merge_array(np.array(ids, dtype=np.int64), pair[0], pair[1], new_id).tolist()


def learn_merges(text: str, n_merges: int) -> list[tuple[bytes, bytes]]:
    array = np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(np.int64)
    tokens = [bytes([byte]) for byte in range(256)]
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < n_merges and len(array) > 1:
        codes, times = np.unique(array[:-1] << 32 | array[1:], return_counts=True)
        tied = codes[times == times.max()].tolist()
        left, right = max(
            ((code >> 32, code & 0xFFFFFFFF) for code in tied), key=lambda p: (tokens[p[0]], tokens[p[1]])
        )
        merges.append((tokens[left], tokens[right]))
        array = merge_array(array, left, right, len(tokens))
        tokens.append(tokens[left] + tokens[right])
    return merges
