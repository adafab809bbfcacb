"""From one long row of tokens to the windows that a language model learns from.    Step: windows

N tokens in all, T = block_size (tokens in a window), B = batch_size, n windows. A window needs T + 1 tokens: its T
inputs, and one more so that the last input has a target too.

Sources: Raschka, Build a Large Language Model, section 2.6 (windows with a stride); nanoGPT, train.py (random windows
of a memory-mapped file), https://github.com/karpathy/nanoGPT/blob/master/train.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Tokens = TypeVar("Tokens", Tensor, np.ndarray)


def token_windows(tokens: Tensor, block_size: int, stride: int) -> tuple[Tensor, Tensor]:
    """Every window that fits whole, and for each of its tokens the one that follows. Both (n, T), int64.

    tokens (N,): whole numbers of any integer type. Windows start at 0, stride, 2 * stride, … as long as T + 1 tokens
    are left, so the last one that fits is there. targets[i, t] is the token after inputs[i, t] in `tokens`.
    Raises ValueError if there are fewer than T + 1 tokens, or if block_size or stride is below 1.
    """
    if block_size < 1 or stride < 1:
        raise ValueError(f"block_size and stride must be at least 1, got {block_size} and {stride}")
    if len(tokens) < block_size + 1:
        raise ValueError(f"{len(tokens)} tokens are too few for one window of {block_size} and its targets")
    windows = tokens.long().unfold(0, block_size + 1, stride)  # (N,) -> (n, T + 1), nothing is copied
    return windows[:, :-1], windows[:, 1:]


def get_batch(
    data: np.ndarray,
    batch_size: int,
    block_size: int,
    *,
    device: str | torch.device,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """B random windows of `data`, and their targets. Both (B, T), int64, on `device`.

    data (N,): ids of any integer type, often a memory-mapped file of uint16 that is larger than memory: only the
    windows are read and copied, never the whole. Each start is drawn on its own, and every start that leaves T + 1
    tokens is equally likely, the first and the last included. All randomness comes from `generator` (on the CPU):
    the same state of it gives the same batch, and it goes on from batch to batch.
    Raises ValueError if there are fewer than T + 1 tokens, or if batch_size or block_size is below 1.
    """
    if batch_size < 1 or block_size < 1:
        raise ValueError(f"batch_size and block_size must be at least 1, got {batch_size} and {block_size}")
    n_starts = len(data) - block_size  # the last start is N - T - 1
    if n_starts < 1:
        raise ValueError(f"{len(data)} tokens are too few for one window of {block_size} and its targets")
    starts = torch.randint(n_starts, (batch_size,), generator=generator).tolist()
    rows = np.stack([data[start : start + block_size + 1] for start in starts])  # (B, T + 1)
    windows = torch.from_numpy(rows.astype(np.int64)).to(device)
    return windows[:, :-1], windows[:, 1:]


def split_tokens(tokens: Tokens, validation_share: float) -> tuple[Tokens, Tokens]:
    """(train, validation): the beginning of `tokens`, and the last round(N * validation_share) of them.

    tokens (N,): a tensor or an array. Both parts keep the order, they do not overlap, and together they are `tokens`.
    Nothing is shuffled: neighbouring windows share most of their tokens, so a random cut would let the model train
    on what it is later tested with. Raises ValueError if either part would be empty.
    """
    n_validation = round(len(tokens) * validation_share)
    n_train = len(tokens) - n_validation
    if n_train < 1 or n_validation < 1:
        raise ValueError(f"{validation_share} of {len(tokens)} tokens leaves one of the two parts empty")
    return tokens[:n_train], tokens[n_train:]


def join_documents(documents: Iterable[list[int]], end_of_text: int) -> list[int]:
    """All documents in one row, each closed by `end_of_text`, the last one too.

    join_documents([[5, 6], [7]], 0) is [5, 6, 0, 7, 0]. Without the separator a model would learn that the end of one
    document leads on to the beginning of the next. The caller's lists stay as they are.
    """
    joined: list[int] = []
    for document in documents:
        joined.extend(document)
        joined.append(end_of_text)
    return joined
