"""Training fast: only what a merge has changed is counted again.    Step: fast"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import words
from words import GPT2_SPLIT_PATTERN, split_special

BATCH_CHARACTERS = 1 << 20  # of text that one process gets at a time


def learn_merges(counted: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    """The same merges as `words.learn_merges`, in a fraction of the time.

    Three tables are kept: how often each pair occurs, in which words it may occur, and a heap with the most frequent
    pair on top. A merge touches only the words that may have its pair. A count that has shrunk is not corrected in the
    heap: an entry with an old count is put right when it comes to the top. Only pairs with the new id can grow.
    """
    vocab = [bytes([id]) for id in range(256)]
    order = [_descending(piece) for piece in vocab]
    split = [list(word) for word in counted]
    frequency = list(counted.values())
    counts: defaultdict[tuple[int, int], int] = defaultdict(int)
    places: defaultdict[tuple[int, int], list[int]] = defaultdict(list)  # pair -> indices of words
    for index, ids in enumerate(split):
        for pair in itertools.pairwise(ids):
            counts[pair] += frequency[index]
            places[pair].append(index)
    heap = [(-count, order[pair[0]], order[pair[1]], pair) for pair, count in counts.items()]
    heapq.heapify(heap)

    merges: list[tuple[bytes, bytes]] = []
    while heap and len(merges) < n_merges:
        negative, _, _, pair = heapq.heappop(heap)
        if counts[pair] != -negative:
            if counts[pair] > 0:
                heapq.heappush(heap, (-counts[pair], order[pair[0]], order[pair[1]], pair))
            continue
        new_id = len(vocab)
        merges.append((vocab[pair[0]], vocab[pair[1]]))
        vocab.append(vocab[pair[0]] + vocab[pair[1]])
        order.append(_descending(vocab[new_id]))
        grown: defaultdict[tuple[int, int], int] = defaultdict(int)  # pairs with the new id
        for index in places.pop(pair):
            ids, n = split[index], frequency[index]
            i = _find(ids, pair, 0)
            while i >= 0:
                if i > 0:
                    before = ids[i - 1]
                    if before == new_id:  # this pair came right after the last one
                        grown[new_id, pair[0]] -= n
                    else:
                        counts[before, pair[0]] -= n
                    grown[before, new_id] += n
                    places[before, new_id].append(index)
                if i + 2 < len(ids):
                    after = ids[i + 2]
                    counts[pair[1], after] -= n
                    grown[new_id, after] += n
                    places[new_id, after].append(index)
                ids[i : i + 2] = [new_id]
                i = _find(ids, pair, i + 1)
        del counts[pair]
        for new_pair, count in grown.items():
            if count > 0:
                counts[new_pair] = count
                heapq.heappush(heap, (-count, order[new_pair[0]], order[new_pair[1]], new_pair))
    return merges


def _find(ids: list[int], pair: tuple[int, int], start: int) -> int:
    """The first place of the pair at or after `start`; -1 if there is none."""
    last = len(ids) - 1
    try:
        while (i := ids.index(pair[0], start, last)) >= 0:
            if ids[i + 1] == pair[1]:
                return i
            start = i + 1
    except ValueError:
        pass
    return -1


def _descending(piece: bytes) -> str:
    """A text that sorts the other way round: the greater the bytes, the smaller the text. A heap gives its smallest."""
    return "".join(chr(255 - byte) for byte in piece) + "\u0100"


# --- counting words in several processes --------------------------------------------------------------------


def count_words(
    texts: Iterable[str],
    pattern: str | None = GPT2_SPLIT_PATTERN,
    special_tokens: Sequence[str] = (),
    workers: int = 1,
) -> dict[bytes, int]:
    """As `words.count_words`, with special tokens cut out first, and in `workers` processes.

    The texts stay whole, so the counts do not depend on the number of processes, and at most a few batches of text are
    in memory at a time. Memory grows with the number of different words only.
    """
    total: Counter[bytes] = Counter()
    count = partial(_count_batch, pattern, tuple(special_tokens))
    if workers <= 1:
        for batch in _batches(texts):
            total.update(count(batch))
        return dict(total)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: deque[Future[dict[bytes, int]]] = deque()
        for batch in _batches(texts):
            running.append(pool.submit(count, batch))
            if len(running) > 2 * workers:  # read on only when the processes have caught up
                total.update(running.popleft().result())
        for future in running:
            total.update(future.result())
    return dict(total)


def _count_batch(pattern: str | None, special_tokens: tuple[str, ...], batch: list[str]) -> dict[bytes, int]:
    parts = (part for text in batch for part, special in split_special(text, special_tokens) if not special)
    return words.count_words(parts, pattern)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Whole texts, about BATCH_CHARACTERS at a time."""
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
