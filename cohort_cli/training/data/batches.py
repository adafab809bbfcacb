"""From a split to rows of tokens in random order, and from rows to tensors on a device.

T = length, the tokens of a sequence. A row has T + 1 tokens: x = row[:-1], and the targets y = row[1:].
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cohort_cli.errors import UsageError
from cohort_cli.training.data.shards import Split
from cohort_cli.training.data.tokenizer import Ids

if TYPE_CHECKING:
    import torch
    from torch import Tensor

THREAD = "batches ahead"
AHEAD = 2  # batches that are on their way to a GPU while it works
PAGES = 64 * 1024  # bytes that the system maps when a row is read
MAPPED = 256 * 1024 * 1024  # bytes that may count as ours before the shards are mapped anew


class Sequences:
    """Endless rows: sequence n is the same for everybody who asks with the same seed, in whatever portions.

    An epoch is one pass over all windows of T tokens, which lie side by side and never reach into the next shard. Its
    order, and where its first window begins (from 0 to T - 1), come from (seed, epoch). So each window comes once
    per epoch, each epoch has another order, and in time every token stands at every position.
    """

    def __init__(self, split: Split, length: int, seed: int) -> None:
        self.split, self.length, self.seed = split, length, seed
        counts = [_windows_in(tokens, length) for tokens in split.lengths]
        self.firsts = np.cumsum([0, *counts])  # number of each shard's first window; last: windows per epoch
        self.per_epoch = int(self.firsts[-1])
        if not self.per_epoch:
            raise UsageError(
                f"The split has {split.tokens:,} tokens: too few for one sequence of {length} and its targets.",
                "Take more text, or shorter sequences: --set batch.length=…",
            )
        self._epochs: dict[int, _Epoch] = {}
        self._touched = 0  # bytes

    def rows(self, first: int, count: int) -> Ids:
        """Sequences first … first + count - 1 as int64 (count, T + 1)."""
        rows = np.empty((count, self.length + 1), np.int64)
        done = 0
        while done < count:  # an epoch may end in the middle
            number, place = divmod(first + done, self.per_epoch)
            epoch = self._epoch(number)
            windows = epoch.order[place : place + count - done]
            self._gather(windows, epoch, rows[done : done + len(windows)])
            done += len(windows)
        return rows

    def _gather(self, windows: NDArray[np.int64], epoch: _Epoch, rows: Ids) -> None:
        """Fill rows (N, T + 1) with the windows of these numbers (N,)."""
        self._touched += len(windows) * max(PAGES, rows.itemsize * rows.shape[1])
        if self._touched > MAPPED:
            self._touched = 0
            for known in self._epochs.values():
                known.views.clear()  # they hold the maps
            self.split.forget_maps()
        if len(self.split.lengths) == 1:
            rows[:] = self._view(0, epoch)[windows]
            return
        shards = np.searchsorted(self.firsts, windows, side="right") - 1
        for shard in np.unique(shards).tolist():
            here = shards == shard
            rows[here] = self._view(shard, epoch)[windows[here] - self.firsts[shard]]

    def _view(self, shard: int, epoch: _Epoch) -> NDArray[Any]:
        """All windows of a shard as (n, T + 1), overlapping by one token. Nothing is read or copied."""
        if shard not in epoch.views:
            tokens = self.split.shard(shard)
            count = int(self.firsts[shard + 1] - self.firsts[shard])
            start = epoch.phase % min(self.length, len(tokens) - count * self.length)
            windows = np.lib.stride_tricks.sliding_window_view(tokens[start:], self.length + 1)
            epoch.views[shard] = windows[:: self.length][:count]
        return epoch.views[shard]

    def _epoch(self, number: int) -> _Epoch:
        if number not in self._epochs:
            if len(self._epochs) > 1:
                self._epochs.clear()
            random = _random(self.seed, number)
            phase = int(random.randint(self.length, dtype=np.int64))
            self._epochs[number] = _Epoch(random.permutation(self.per_epoch), phase)
        return self._epochs[number]


class _Epoch:
    """The order (n,) of all windows, how many tokens are left out before the first, and each shard's windows."""

    def __init__(self, order: NDArray[np.int64], phase: int) -> None:
        self.order, self.phase = order, phase
        self.views: dict[int, NDArray[Any]] = {}


def _windows_in(tokens: int, length: int) -> int:
    """Windows of a shard in every epoch: so many fit, wherever the first of them begins."""
    return max((tokens - length) // length, int(tokens > length))


def _random(seed: int, epoch: int) -> np.random.RandomState:
    """A stream that depends on these numbers alone. NumPy keeps RandomState as it is, for ever; Generator may change."""
    sequence = np.random.SeedSequence((seed % (1 << 64), epoch))
    return np.random.RandomState(np.random.MT19937(sequence))


def prefetch(batches: Iterable[tuple[Tensor, ...]], device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    """The same batches in the same order, on `device`. What the iterable raises is raised here, in its place.

    For a GPU a thread makes the next batches and copies them while it works. On a CPU a thread would only take its
    time from the matrix products, so there is none.
    """
    if device.type == "cpu":
        yield from batches
        return
    pinned = device.type == "cuda"
    for tensors in ahead(batches if not pinned else _pin(batches)):
        yield tuple(tensor.to(device, non_blocking=pinned) for tensor in tensors)


def _pin(batches: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
    """In memory that a GPU can copy from by itself."""
    for tensors in batches:
        yield tuple(tensor.contiguous().pin_memory() for tensor in tensors)


def ahead(items: Iterable[Any], depth: int = AHEAD) -> Iterator[Any]:
    """The same items, made by a thread that is at most `depth` items ahead. It ends with this iterator."""
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    wanted = True

    def put(kind: str, value: Any) -> None:
        while wanted:
            try:
                return ready.put((kind, value), timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put("item", item)
                if not wanted:
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=make, name=THREAD, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        wanted = False
        thread.join()
