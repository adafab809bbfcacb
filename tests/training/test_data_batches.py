"""Rows in random order: each window once per epoch, and number n the same for everybody; and the way to a device."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cohort_cli.errors import UsageError
from cohort_cli.training import disk
from cohort_cli.training.data import batches
from cohort_cli.training.data.batches import Sequences, ahead, prefetch
from cohort_cli.training.data.shards import Counts, ShardWriter, Split

LENGTHS = st.integers(1, 9)
SHARDS = st.lists(st.integers(1, 60), min_size=1, max_size=4)
SEEDS = st.integers(-3, 1 << 70)


def split_of(folder: Path, shards: list[int], dtype: str = "uint16", first: int = 0) -> Split:
    """The tokens first, first + 1, … in shards of so many tokens: a token says where it stands."""
    paths, start = [], first
    for number, tokens in enumerate(shards):
        paths.append(folder / f"train_{number:05d}.bin")
        np.arange(start, start + tokens).astype(f"<{dtype[0]}{np.dtype(dtype).itemsize}").tofile(paths[-1])
        start += tokens
    names = tuple(path.name for path in paths)
    return Split(paths, dtype, Counts(1, 3 * sum(shards), sum(shards), 0, names))


class Case:
    """Sequences over shards in a folder that goes with it."""

    def __init__(self, shards: list[int], length: int, seed: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.split = split_of(Path(self.folder.name), shards)
        self.make = lambda seed=seed: Sequences(self.split, length, seed)

    def __enter__(self) -> Case:
        return self

    def __exit__(self, *error: object) -> None:
        self.split.forget_maps()
        self.folder.cleanup()


def bounds(shards: list[int]) -> list[tuple[int, int]]:
    ends = np.cumsum(shards).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


# --- order ----------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(shards=SHARDS, length=LENGTHS, seed=SEEDS)
def test_an_epoch_has_each_window_once(shards: list[int], length: int, seed: int) -> None:
    if max(shards) <= length:
        return
    with Case(shards, length, seed) as case:
        sequences = case.make()
        n = sequences.per_epoch
        for epoch in range(3):
            rows = sequences.rows(epoch * n, n)
            assert rows.shape == (n, length + 1)
            assert rows.dtype == np.int64
            assert (np.diff(rows, axis=1) == 1).all(), "a window is a piece of the text"
            starts = sorted(rows[:, 0].tolist())
            for low, high in bounds(shards):
                here = [start for start in starts if low <= start < high]
                assert np.diff(here).tolist() == [length] * (len(here) - 1), (
                    "side by side, none twice, none missing"
                )
                if here:
                    assert here[-1] + length < high, "no window reaches into the next shard"
                    assert here[0] - low < length
                    left_out = (here[0] - low) + (high - here[-1] - length - 1)
                    assert left_out < 2 * length, "before the first window and after the last one"
                else:
                    assert high - low <= length, "only a shard that is too short has no window"


@settings(max_examples=100, deadline=None)
@given(shards=SHARDS, length=LENGTHS, seed=SEEDS, cuts=st.lists(st.integers(1, 25), min_size=1, max_size=8))
def test_number_n_does_not_depend_on_how_it_is_asked_for(
    shards: list[int], length: int, seed: int, cuts: list[int]
) -> None:
    if max(shards) <= length:
        return
    with Case(shards, length, seed) as case:
        whole = case.make().rows(0, sum(cuts))
        in_portions = case.make()
        found, first = [], 0
        for count in cuts:
            found.append(in_portions.rows(first, count))
            first += count
        assert (np.concatenate(found) == whole).all()
        backwards = case.make()
        for n in reversed(range(len(whole))):
            assert (backwards.rows(n, 1)[0] == whole[n]).all()


def test_processes_that_ask_for_their_own_rows_share_one_batch(tmp_path: Path) -> None:
    split = split_of(tmp_path, [500, 300])
    whole = Sequences(split, 7, 3).rows(40, 12)
    shares = [Sequences(split, 7, 3).rows(40 + 4 * rank, 4) for rank in range(3)]
    assert (np.concatenate(shares) == whole).all()


def test_every_epoch_and_every_seed_has_an_order_of_its_own(tmp_path: Path) -> None:
    split = split_of(tmp_path, [1000])
    orders = set()
    for seed in range(5):
        sequences = Sequences(split, 10, seed)
        for epoch in range(4):
            rows = sequences.rows(epoch * sequences.per_epoch, sequences.per_epoch)
            orders.add(tuple(rows[:, 0].tolist()))
            assert rows[:, 0].tolist() != sorted(rows[:, 0].tolist())
    assert len(orders) == 20


def test_windows_begin_elsewhere_in_another_epoch(tmp_path: Path) -> None:
    """So that in time every token is read with every amount of text before it."""
    sequences = Sequences(split_of(tmp_path, [200]), 8, 1)
    phases = {int(sequences.rows(epoch * sequences.per_epoch, 1)[0, 0]) % 8 for epoch in range(100)}
    assert phases == set(range(8))


def test_the_order_is_the_same_for_ever(tmp_path: Path) -> None:
    """A run that is resumed with another version of NumPy goes on with the same data."""
    sequences = Sequences(split_of(tmp_path, [100]), 8, 1)
    first_epoch = [69, 13, 85, 45, 5, 61, 53, 77, 29, 37, 21]
    assert sequences.rows(0, 15)[:, 0].tolist() == [*first_epoch, 54, 22, 70, 6]


@pytest.mark.parametrize("tokens", [9, 10, 15, 16, 17, 23, 24, 25])
def test_texts_of_about_one_window(tmp_path: Path, tokens: int) -> None:
    sequences = Sequences(split_of(tmp_path, [tokens]), 8, 1)
    assert sequences.per_epoch == (1 if tokens < 24 else 2)
    rows = sequences.rows(0, 40)
    assert rows.min() >= 0
    assert rows.max() <= tokens - 1
    if tokens == 9:
        assert (rows == np.arange(9)).all()


@pytest.mark.parametrize("shards", [[8], [5, 8, 1]])
def test_a_text_that_is_too_short_for_one_window(tmp_path: Path, shards: list[int]) -> None:
    with pytest.raises(UsageError, match=f"{sum(shards)} tokens: too few for one sequence of 8"):
        Sequences(split_of(tmp_path, shards), 8, 1)


# --- numbers and memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "first"), [("uint16", 65_000), ("uint16", 32_700), ("uint32", 70_000)])
def test_large_ids_are_not_negative_or_cut(tmp_path: Path, dtype: str, first: int) -> None:
    split = split_of(tmp_path, [300, 200], dtype, first)
    rows = Sequences(split, 4, 1).rows(0, 100)
    assert rows.min() >= first
    assert rows.max() < first + 500
    assert split.read(290, 310).tolist() == list(range(first + 290, first + 310))


def test_rows_can_be_changed_and_the_file_stays(tmp_path: Path) -> None:
    split = split_of(tmp_path, [100])
    rows = Sequences(split, 4, 1).rows(0, 10)
    rows[:] = 0
    assert split.read(0, 100).tolist() == list(range(100))


@pytest.mark.skipif(sys.platform == "win32", reason="such a file would take a gigabyte of the disk there")
@pytest.mark.parametrize("shards", [1, 4])
def test_memory_stays_flat_on_a_gigabyte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    monkeypatch.setattr(batches, "MAPPED", 64 * 1024 * 1024)
    paths = [tmp_path / f"train_{number}.bin" for number in range(shards)]
    for path in paths:
        with path.open("wb") as file:
            file.truncate((1 << 30) // shards)  # nothing but zeros, which take no room
    split = Split(paths, "uint16", Counts(1, 1, 1 << 29, 0, tuple(path.name for path in paths)))
    sequences = Sequences(split, 1024, 1)
    sequences.rows(0, 64)
    process = psutil.Process()
    before, most = process.memory_info().rss, 0
    for first in range(0, sequences.per_epoch // 6, 256):  # 170 MB of rows, on pages of 300 MB
        sequences.rows(first, 256)
        most = max(most, process.memory_info().rss)
    assert most - before < batches.MAPPED * 1.25


# --- evaluation -----------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(shards=SHARDS, length=LENGTHS)
def test_for_evaluation_each_token_is_a_target_once(shards: list[int], length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        split = split_of(Path(folder), shards)
        windows = list(split.windows(length))
        split.forget_maps()
    targets = [token for window in windows for token in window[1:].tolist()]
    assert targets == list(range(1, sum(shards)))
    assert all(len(window) == length + 1 for window in windows[:-1])
    assert all(2 <= len(window) <= length + 1 and window.dtype == np.int64 for window in windows)
    assert all((np.diff(window) == 1).all() for window in windows)


@settings(max_examples=100, deadline=None)
@given(
    parts=st.lists(st.lists(st.integers(0, 65_535), max_size=20), max_size=8), shard_tokens=st.integers(1, 30)
)
def test_what_is_written_is_what_is_read(parts: list[list[int]], shard_tokens: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "sync", lambda path: None)  # it takes most of the time
        writer = ShardWriter(Path(folder), "train", shard_tokens, "uint16")
        for part in parts:
            writer.add(np.array(part, np.int64))
        files = writer.finish()
        ids = [id for part in parts for id in part]
        split = Split([Path(folder) / file.file for file in files], "uint16", Counts(1, 1, len(ids), 0, ()))
        assert split.read(0, len(ids)).tolist() == ids
        assert split.lengths == [len(ids[at : at + shard_tokens]) for at in range(0, len(ids), shard_tokens)]
        data = b"".join((Path(folder) / file.file).read_bytes() for file in files)
        assert data == b"".join(id.to_bytes(2, "little") for id in ids), (
            "the low byte first, on every machine"
        )
        split.forget_maps()


@pytest.mark.parametrize("ids", [[65_536], [-1], [3, 1 << 40]])
def test_an_id_that_does_not_fit_is_not_cut(tmp_path: Path, ids: list[int]) -> None:
    with pytest.raises(ValueError, match="do not fit into uint16"):
        ShardWriter(tmp_path, "train", 10, "uint16").add(np.array(ids))


# --- to a device ----------------------------------------------------------------------------------------------


def tensors(count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for n in range(count):
        rows = torch.full((2, n + 2), n)
        yield rows[:, :-1], rows[:, 1:]


def test_on_a_cpu_batches_are_handed_on_without_a_thread() -> None:
    threads = []

    def made() -> Iterator[tuple[torch.Tensor, ...]]:
        for batch in tensors(5):
            threads.append(threading.get_ident())
            yield batch

    found = list(prefetch(made(), torch.device("cpu")))
    assert [int(x[0, 0]) for x, _ in found] == [0, 1, 2, 3, 4]
    assert set(threads) == {threading.get_ident()}


def test_for_another_device_they_come_in_order() -> None:
    found = list(prefetch(tensors(20), torch.device("meta")))
    assert [tuple(x.shape) for x, _ in found] == [(2, n + 1) for n in range(20)]
    assert {t.device.type for batch in found for t in batch} == {"meta"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_a_gpu_they_are_the_same() -> None:
    found = list(prefetch(tensors(50), torch.device("cuda")))
    for (x, y), (on_gpu_x, on_gpu_y) in zip(tensors(50), found, strict=True):
        assert torch.equal(x, on_gpu_x.cpu())
        assert torch.equal(y, on_gpu_y.cpu())


def test_items_come_in_order_from_a_thread_that_is_not_far_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for n in range(30):
            made.append(n)
            yield n

    for n, found in enumerate(ahead(items(), depth=3)):
        assert found == n
        time.sleep(0.001)
        assert len(made) <= n + 1 + 3 + 1, "this one, three that wait, one that is being made"
    assert made == list(range(30))


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), StopIteration()])
def test_an_error_comes_in_its_place(error: BaseException) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    found = ahead(items())
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises((type(error), RuntimeError)):
        next(found)
    assert threads_of_ours() == []


def test_the_thread_ends_with_who_listens() -> None:
    closed = threading.Event()

    def endless() -> Iterator[NDArray[Any]]:
        try:
            while True:
                yield np.zeros(3)
        finally:
            closed.set()

    found = ahead(endless())
    next(found)
    assert threads_of_ours() != []
    found.close()  # type: ignore[attr-defined]
    assert threads_of_ours() == []
    assert closed.wait(5)


def threads_of_ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == batches.THREAD]
