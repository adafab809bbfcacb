"""What is held out, and the pieces that a model learns from.    Step: batches

N characters in a text, B = batch_size, T = block_size.

ids are int64 tensors (N,). All chance comes from the generator that is given. Arguments stay as they are.

Source: Raschka, PyTorch in One Hour, https://sebastianraschka.com/teaching/pytorch-1h/.

You may add helper functions and files as you like.
"""

from __future__ import annotations

import torch
from torch import Tensor


def split(ids: Tensor, validation_share: float = 0.1) -> tuple[Tensor, Tensor]:
    """ids (N,) -> (train, validation): the end of the text is held out, the rest is to learn from, both in their order.

    Every id is in exactly one of the two. validation has validation_share * N ids, rounded up or down as you like.
    """
    raise NotImplementedError("batches: split")


def get_batch(
    ids: Tensor, batch_size: int, block_size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """ids (N,) -> (x, y), each (B, T) int64: B windows of T ids, and for each place the id that follows it.

    Each row of x is a piece ids[s : s + T], and the same row of y is ids[s + 1 : s + T + 1]. The start s is drawn anew
    for each row, independently of the others: every s for which both pieces fit is equally likely, 0 and the last
    one too. There are N - T of them, and the same one may come twice in a batch.
    """
    raise NotImplementedError("batches: get_batch")
