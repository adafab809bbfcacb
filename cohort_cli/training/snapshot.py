"""A copy of a training state in the machine's own memory, so that training can go on while the copy is written.

Buffers are used again: the first touch of fresh memory costs many times what the copy itself costs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Tensors = dict[str, dict[str, Tensor]]  # group -> name -> tensor
Buffers = dict[tuple[str, str], Tensor]  # (group, name) -> memory of that tensor's copies

LARGE = 1 << 20  # bytes


class Snapshot(NamedTuple):
    tensors: Tensors  # contiguous, on the CPU
    same: dict[str, dict[str, str]]  # group -> name -> the name under which the same tensor is kept

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for named in self.tensors.values() for tensor in named.values())


def take(tensors: Tensors, buffers: Buffers) -> Snapshot:
    """Copy everything into `buffers`, which grow as needed. A tensor with two names (tied weights) is copied once."""
    copies: Tensors = {}
    same: dict[str, dict[str, str]] = {}
    for group, named in tensors.items():
        copies[group] = {}
        names: dict[Any, str] = {}
        for name, tensor in named.items():
            here = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
            if here in names:
                same.setdefault(group, {})[name] = names[here]
                continue
            names[here] = name
            buffer = _buffer(buffers, (group, name), tensor, tensor.is_cuda)
            copies[group][name] = buffer.copy_(tensor.detach(), non_blocking=tensor.is_cuda)
    if any(tensor.is_cuda for named in tensors.values() for tensor in named.values()):
        torch.cuda.synchronize()
    return Snapshot(copies, same)


def reserve(tensors: Tensors, buffers: Buffers) -> None:
    """Get memory for tensors like these ready, and touch it: a system hands out pages at the first write."""
    for group, named in tensors.items():
        for name, tensor in named.items():
            _buffer(buffers, (group, name), tensor, tensor.is_cuda).zero_()


def _buffer(buffers: Buffers, key: tuple[str, str], like: Tensor, pinned: bool) -> Tensor:
    buffer = buffers.get(key)
    if buffer is None or buffer.shape != like.shape or buffer.dtype != like.dtype:
        if not pinned and like.nbytes >= LARGE:
            # numpy asks the system for large pages, and those come quicker
            raw = torch.from_numpy(np.empty(like.nbytes, np.uint8))
            buffer = raw.view(like.dtype).reshape(like.shape)
        else:  # pinned: a GPU can copy into it by itself
            buffer = torch.empty(like.shape, dtype=like.dtype, pin_memory=pinned)
        buffers[key] = buffer
    return buffer
