from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from pairs import Merge, merge_word
from words import GPT2_SPLIT_PATTERN, pretokenize, split_special


@dataclass(frozen=True)
class Candidate:
    """A heap entry; the 'smallest' one has the highest count, then the greatest pair."""

    count: int
    pair: Merge

    def __lt__(self, other: "Candidate") -> bool:
        return (self.count, self.pair) > (other.count, other.pair)


class Corpus:
    def __init__(self, counted: Mapping[bytes, int]) -> None:
        self.words: List[Tuple[bytes, ...]] = [
            tuple(word[i : i + 1] for i in range(len(word))) for word in counted
        ]
        self.times: List[int] = list(counted.values())
        self.counts: Dict[Merge, int] = defaultdict(int)
        self.places: Dict[Merge, Set[int]] = defaultdict(set)
        for index, word in enumerate(self.words):
            self._account(index, word, +1)
        self.heap = [Candidate(count, pair) for pair, count in self.counts.items()]
        heapq.heapify(self.heap)

    def _account(self, index: int, word: Tuple[bytes, ...], sign: int) -> Set[Merge]:
        for pair in zip(word, word[1:]):
            self.counts[pair] += sign * self.times[index]
            if sign > 0:
                self.places[pair].add(index)
        return set(zip(word, word[1:]))

    def best(self) -> Optional[Merge]:
        while self.heap:
            candidate = heapq.heappop(self.heap)
            if self.counts.get(candidate.pair, 0) == candidate.count > 0:
                return candidate.pair
        return None

    def apply(self, pair: Merge) -> None:
        changed: Set[Merge] = set()
        for index in self.places.pop(pair):
            old = self.words[index]
            new = merge_word(old, pair)
            changed |= self._account(index, old, -1)
            changed |= self._account(index, new, +1)
            self.words[index] = new
        for other in changed:  # eager: each changed pair gets a new entry, whether it grew or shrank
            if self.counts[other] > 0:
                heapq.heappush(self.heap, Candidate(self.counts[other], other))
            else:
                del self.counts[other]


def learn_merges(counted: Mapping[bytes, int], n_merges: int) -> List[Merge]:
    corpus = Corpus(counted)
    merges: List[Merge] = []
    while len(merges) < n_merges:
        pair = corpus.best()
        if pair is None:
            break
        corpus.apply(pair)
        merges.append(pair)
    return merges


def count_batch(
    texts: Sequence[str], pattern: Optional[str], special_tokens: Sequence[str]
) -> Dict[bytes, int]:
    counts: Counter = Counter()
    for text in texts:
        for part, is_special in split_special(text, special_tokens):
            if not is_special:
                counts.update(pretokenize(part, pattern))
    return {word.encode("utf-8"): n for word, n in counts.items()}


def count_words(
    texts: Iterable[str],
    pattern: Optional[str] = GPT2_SPLIT_PATTERN,
    special_tokens: Sequence[str] = (),
    workers: int = 1,
    batch: int = 256,
) -> Dict[bytes, int]:
    total: Counter = Counter()
    if workers < 2:
        for text in texts:
            total.update(count_batch([text], pattern, special_tokens))
        return dict(total)
    waiting: List[str] = []
    with ProcessPoolExecutor(workers) as pool:
        jobs = []
        for text in texts:
            waiting.append(text)
            if len(waiting) == batch:
                jobs.append(pool.submit(count_batch, waiting, pattern, list(special_tokens)))
                waiting = []
        jobs.append(pool.submit(count_batch, waiting, pattern, list(special_tokens)))
        for job in jobs:
            total.update(job.result())
    return dict(total)
