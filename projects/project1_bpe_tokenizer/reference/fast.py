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

    A token is one character here, its id the character's number, so a word is a string and a pair is two characters:
    `split` and `join` of Python's strings merge a pair, and they are fast.

    Three tables are kept: how often each pair occurs, in which words it may occur, and a heap with the most frequent
    pair on top. A merge touches only the words that may have its pair. A count that has shrunk is not corrected in the
    heap: an entry with an old count is put right when it comes to the top. Only pairs with the new token can grow.
    """
    vocab = {chr(byte): bytes([byte]) for byte in range(256)}
    order = {token: _descending(piece) for token, piece in vocab.items()}
    split = [word.decode("latin-1") for word in counted]  # Latin-1: byte n is character n
    frequency = list(counted.values())
    counts: defaultdict[str, int] = defaultdict(int)
    places: defaultdict[str, list[int]] = defaultdict(
        list
    )  # pair -> words, each as often as the pair is in it
    for index, word in enumerate(split):
        for left, right in itertools.pairwise(word):
            counts[left + right] += frequency[index]
            places[left + right].append(index)
    heap = [(-count, order[pair[0]], order[pair[1]], pair) for pair, count in counts.items()]
    heapq.heapify(heap)

    merges: list[tuple[bytes, bytes]] = []
    while heap and len(merges) < n_merges:
        negative, _, _, pair = heapq.heappop(heap)
        if counts[pair] != -negative:
            if counts[pair] > 0:
                heapq.heappush(heap, (-counts[pair], order[pair[0]], order[pair[1]], pair))
            continue
        left, right = pair
        token = chr(256 + len(merges))
        merges.append((vocab[left], vocab[right]))
        vocab[token] = vocab[left] + vocab[right]
        order[token] = _descending(vocab[token])
        fresh: defaultdict[str, list[int]] = defaultdict(list)  # pairs with the new token -> words
        for index in dict.fromkeys(places.pop(pair)):  # each word once
            parts = split[index].split(pair)
            last, n = len(parts) - 1, frequency[index]
            split[index] = token.join(parts)
            for i, part in enumerate(parts):
                if part and i > 0:  # the token is on its left
                    counts[right + part[0]] -= n
                    fresh[token + part[0]].append(index)
                if part and i < last:  # the token is on its right
                    counts[part[-1] + left] -= n
                    fresh[part[-1] + token].append(index)
                if not part and 0 < i < last:  # nothing between two of them
                    counts[right + left] -= n
                    fresh[token + token].append(index)
        del counts[pair]
        for new_pair, where in fresh.items():
            places[new_pair] = where
            counts[new_pair] = sum(map(frequency.__getitem__, where))
            heapq.heappush(heap, (-counts[new_pair], order[new_pair[0]], order[new_pair[1]], new_pair))
    return merges


_COMPLEMENT = bytes(255 - byte for byte in range(256))


def _descending(piece: bytes) -> str:
    """A text that sorts the other way round: the greater the bytes, the smaller the text. A heap gives its smallest."""
    return piece.translate(_COMPLEMENT).decode("latin-1") + "\u0100"


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
    count = partial(_count_ordinary, pattern, tuple(special_tokens))
    if workers <= 1:
        return count(texts)
    total: Counter[bytes] = Counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: deque[Future[dict[bytes, int]]] = deque()
        for batch in _batches(texts):
            running.append(pool.submit(count, batch))
            if len(running) > 2 * workers:  # read on only when the processes have caught up
                total.update(running.popleft().result())
        for future in running:
            total.update(future.result())
    return dict(total)


def _count_ordinary(
    pattern: str | None, special_tokens: tuple[str, ...], texts: Iterable[str]
) -> dict[bytes, int]:
    parts = (part for text in texts for part, special in split_special(text, special_tokens) if not special)
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
