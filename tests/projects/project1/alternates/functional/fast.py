from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial, reduce
from itertools import chain, islice, pairwise
from multiprocessing import Pool
from operator import add

from latin import bytes_pairs, replaced, to_latin
from words import GPT2_SPLIT_PATTERN, pretokenize, split_special

Pair = tuple[str, str]

_TURNED = {code: chr(255 - code) for code in range(256)}


@lru_cache(maxsize=None)
def _turned(token: str) -> str:
    """Sorts the other way round. The last character is greater than all others: a longer token comes first."""
    return token.translate(_TURNED) + "\u0100"


def _entry(times: int, pair: Pair) -> tuple[int, str, str, Pair]:
    return -times, _turned(pair[0]), _turned(pair[1]), pair


def _merges(counted: Mapping[bytes, int]) -> Iterator[Pair]:
    words = [tuple(to_latin(word)) for word in counted]
    times = [*counted.values()]
    counts: dict[Pair, int] = defaultdict(int)
    where: dict[Pair, set[int]] = defaultdict(set)
    for number, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += times[number]
            where[pair].add(number)
    heap = [_entry(count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    while heap:
        promised, *_, pair = heapq.heappop(heap)
        count = counts[pair]
        if count != -promised:
            if count:
                heapq.heappush(heap, _entry(count, pair))
            continue
        if not count:
            continue
        yield pair
        new = "".join(pair)
        grown: set[Pair] = set()
        for number in where.pop(pair):
            before, after = words[number], tuple(replaced(words[number], pair, new))
            if before == after:
                continue
            for old in pairwise(before):
                counts[old] -= times[number]
            for fresh in pairwise(after):
                counts[fresh] += times[number]
                where[fresh].add(number)
                if new in fresh:
                    grown.add(fresh)
            words[number] = after
        for fresh in grown:
            heapq.heappush(heap, _entry(counts[fresh], fresh))


def learn_merges(counted: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    return bytes_pairs(islice(_merges(counted), n_merges))


def _count_one(text: str, pattern: str | None, special_tokens: Sequence[str]) -> Counter[bytes]:
    parts = (part for part, special in split_special(text, special_tokens) if not special)
    return Counter(
        word.encode() for word in chain.from_iterable(pretokenize(part, pattern) for part in parts)
    )


def count_words(
    texts: Iterable[str],
    pattern: str | None = GPT2_SPLIT_PATTERN,
    special_tokens: Sequence[str] = (),
    workers: int = 1,
) -> dict[bytes, int]:
    count = partial(_count_one, pattern=pattern, special_tokens=tuple(special_tokens))
    if workers <= 1:
        return reduce(add, map(count, texts), Counter())
    with Pool(workers) as pool:
        return reduce(add, pool.imap_unordered(count, texts, chunksize=16), Counter())
