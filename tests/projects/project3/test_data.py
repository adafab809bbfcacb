"""data.py of the reference: every window, and batches of a real file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("n", range(2, 14))
def test_windows_are_those_of_a_plain_loop(reference: Load, n: int) -> None:
    data = reference("data")
    tokens = torch.randperm(n, dtype=torch.int32)
    for block_size in range(1, n):
        for stride in (1, 2, block_size, n):
            inputs, targets = data.token_windows(tokens, block_size, stride)
            starts = [s for s in range(0, n, stride) if s + block_size + 1 <= n]
            assert inputs.tolist() == [tokens[s : s + block_size].tolist() for s in starts]
            assert targets.tolist() == [tokens[s + 1 : s + block_size + 1].tolist() for s in starts]


def test_windows_with_the_stride_of_their_length_use_each_token_once_as_a_target(reference: Load) -> None:
    _, targets = reference("data").token_windows(torch.arange(101), 20, 20)
    assert targets.flatten().tolist() == list(range(1, 101))


def test_a_batch_of_a_mapped_file(reference: Load, tmp_path: Path) -> None:
    path = tmp_path / "tokens.bin"
    ids = np.random.default_rng(0).integers(0, 65_536, 5_000).astype("<u2")
    path.write_bytes(ids.tobytes())
    mapped = np.memmap(path, "<u2", mode="r")
    generator = torch.Generator().manual_seed(3)
    x, y = reference("data").get_batch(mapped, 64, 9, device="cpu", generator=generator)
    windows = {tuple(ids[s : s + 10].tolist()) for s in range(len(ids) - 9)}
    rows = torch.cat([x, y[:, -1:]], dim=1)
    assert all(tuple(row) in windows for row in rows.tolist())
    assert torch.equal(x[:, 1:], y[:, :-1])
    assert x.dtype == y.dtype == torch.int64
    del mapped


def test_all_starts_are_equally_likely(reference: Load) -> None:
    """A chi-squared test with 9 degrees of freedom: 27.9 is passed by chance once in a thousand. The seed is fixed."""
    generator = torch.Generator().manual_seed(0)
    x, _ = reference("data").get_batch(
        np.arange(13, dtype=np.uint16), 20_000, 3, device="cpu", generator=generator
    )
    count = torch.bincount(x[:, 0], minlength=10).double()
    assert len(count) == 10
    assert float(((count - 2_000) ** 2 / 2_000).sum()) < 27.9


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.99])
def test_a_split_loses_nothing(reference: Load, share: float) -> None:
    tokens = torch.arange(1_000)
    train, validation = reference("data").split_tokens(tokens, share)
    assert torch.equal(torch.cat([train, validation]), tokens)
    assert len(validation) == pytest.approx(1_000 * share)


def test_joined_documents_can_be_taken_apart_again(reference: Load) -> None:
    documents = [[1, 2, 1], [], [3], [4, 1, 3]]
    joined = reference("data").join_documents(iter(documents), 0)
    apart: list[list[int]] = [[]]
    for id in joined:
        apart = [*apart, []] if id == 0 else [*apart[:-1], [*apart[-1], id]]
    assert apart == [*documents, []]
