"""All words in one array of ids, with -1 after each; a second array holds the count of the word of each id."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pairs import merge_places

END = -1


class FlatWords:
    def __init__(self, words: Mapping[bytes, int]) -> None:
        pieces = [np.append(np.frombuffer(word, dtype=np.uint8).astype(np.int64), END) for word in words]
        lengths = [len(piece) for piece in pieces]
        self.ids = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
        self.times = np.repeat(np.array(list(words.values()), dtype=np.int64), lengths)
        self.tokens = [bytes([byte]) for byte in range(256)]

    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """A number for each pair of neighbours, and how often its word occurs."""
        left, right = self.ids[:-1], self.ids[1:]
        inside = (left != END) & (right != END)
        return (left[inside] << 32) | right[inside], self.times[:-1][inside]

    def count(self) -> tuple[np.ndarray, np.ndarray]:
        codes, times = self.codes()
        return total(codes, times)

    def greatest(self, codes: np.ndarray) -> tuple[int, int]:
        pairs = [(code >> 32, code & 0xFFFFFFFF) for code in codes.tolist()]
        return max(pairs, key=lambda pair: (self.tokens[pair[0]], self.tokens[pair[1]]))

    def merge(self, left: int, right: int) -> tuple[np.ndarray, np.ndarray]:
        """Merge a pair everywhere. Returns codes and by how much their counts have changed."""
        new = len(self.tokens)
        self.tokens.append(self.tokens[left] + self.tokens[right])
        places = merge_places(self.ids, left, right)
        # neighbours of all places, before
        around = np.unique(np.concatenate([places - 1, places, places + 1]))
        around = around[(around >= 0) & (around < len(self.ids) - 1)]
        lost = self._at(around)
        shift = np.zeros(len(self.ids), dtype=np.int64)
        shift[places + 1] = 1
        moved = places - (np.cumsum(shift)[places])
        self.ids[places] = new
        self.ids = np.delete(self.ids, places + 1)
        self.times = np.delete(self.times, places + 1)
        around = np.unique(np.concatenate([moved - 1, moved]))
        around = around[(around >= 0) & (around < len(self.ids) - 1)]
        won = self._at(around)
        return total(np.concatenate([lost[0], won[0]]), np.concatenate([-lost[1], won[1]]))

    def _at(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        left, right = self.ids[places], self.ids[places + 1]
        inside = (left != END) & (right != END)
        return (left[inside] << 32) | right[inside], self.times[places][inside]


def total(codes: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unique, inverse = np.unique(codes, return_inverse=True)
    sums = np.zeros(len(unique), dtype=np.int64)
    np.add.at(sums, inverse, times)
    return unique, sums
