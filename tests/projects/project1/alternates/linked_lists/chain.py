"""All words as doubly linked lists of tokens, and for each pair the places where it stands.

Pairs wait in buckets, one per count; a heap knows the counts that have a bucket.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

Pair = tuple[bytes, bytes]
NONE = -1


class Chain:
    def __init__(self, counted: Mapping[bytes, int]) -> None:
        self.token: list[bytes | None] = []
        self.before: list[int] = []
        self.after: list[int] = []
        self.times: list[int] = []
        self.places: dict[Pair, set[int]] = {}
        self.count: dict[Pair, int] = {}
        self.bucket: dict[int, set[Pair]] = {}
        self.highest: list[int] = []
        for word, times in counted.items():
            if times <= 0:
                continue
            first = len(self.token)
            for offset in range(len(word)):
                self.token.append(word[offset : offset + 1])
                self.before.append(first + offset - 1 if offset else NONE)
                self.after.append(first + offset + 1 if offset + 1 < len(word) else NONE)
                self.times.append(times)
        touched: dict[Pair, int] = {}
        for place in range(len(self.token)):
            self.link(place, touched)
        self.settle(touched)

    def pair(self, place: int) -> Pair | None:
        if place == NONE or self.after[place] == NONE:
            return None
        return self.token[place], self.token[self.after[place]]  # type: ignore[return-value]

    def link(self, place: int, touched: dict[Pair, int]) -> None:
        pair = self.pair(place)
        if pair is not None:
            self.places.setdefault(pair, set()).add(place)
            touched[pair] = touched.get(pair, 0) + self.times[place]

    def unlink(self, place: int, touched: dict[Pair, int]) -> None:
        pair = self.pair(place)
        if pair is not None:
            self.places[pair].discard(place)
            touched[pair] = touched.get(pair, 0) - self.times[place]

    def settle(self, touched: dict[Pair, int]) -> None:
        """Put each touched pair into the bucket of its new count."""
        for pair, change in touched.items():
            if not change:
                continue
            old = self.count.get(pair, 0)
            new = old + change
            if old:
                self.bucket[old].discard(pair)
            if not new:
                self.count.pop(pair, None)
                self.places.pop(pair, None)
                continue
            self.count[pair] = new
            if not self.bucket.get(new):
                heapq.heappush(self.highest, -new)
                self.bucket[new] = set()
            self.bucket[new].add(pair)

    def best(self) -> Pair | None:
        while self.highest:
            pairs = self.bucket.get(-self.highest[0])
            if pairs:
                return max(pairs)
            self.bucket.pop(-heapq.heappop(self.highest), None)
        return None

    def apply(self, pair: Pair) -> None:
        touched: dict[Pair, int] = {}
        for place in sorted(self.places[pair]):
            if self.pair(place) != pair:
                continue  # its left half went into the place before it
            gone = self.after[place]
            for near in (self.before[place], place, gone):
                self.unlink(near, touched)
            self.token[place] = pair[0] + pair[1]
            self.token[gone] = None
            self.after[place] = self.after[gone]
            if self.after[gone] != NONE:
                self.before[self.after[gone]] = place
            self.after[gone] = NONE
            for near in (self.before[place], place):
                self.link(near, touched)
        self.settle(touched)

    def learn(self, n_merges: int) -> list[Pair]:
        merges: list[Pair] = []
        while len(merges) < n_merges:
            pair = self.best()
            if pair is None:
                break
            self.apply(pair)
            merges.append(pair)
        return merges
