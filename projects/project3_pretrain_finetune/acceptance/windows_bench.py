"""Brought to the member's side: arrays, generators and measuring instruments, which cannot travel there."""

import random
import tracemalloc
from pathlib import Path

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode


def draw(ids, calls, seed, batch_size, block_size, device="cpu", noise=0):
    """(x, y) of several calls of get_batch in a row, with one generator that starts at `seed`.

    ids: a tensor; get_batch sees it as an array of uint16. noise: where all other random numbers start.
    """
    from data import get_batch

    random.seed(noise)
    np.random.seed(noise)
    torch.default_generator.manual_seed(noise)
    data = ids.numpy().astype(np.uint16)
    generator = torch.Generator().manual_seed(seed)
    return [get_batch(data, batch_size, block_size, device=device, generator=generator) for _ in range(calls)]


def devices(ids, device):
    """The types of the devices that inputs and targets are on."""
    return [str(part.device.type) for part in draw(ids, 1, 0, 2, 3, device)[0]]


def peak_bytes(path, n):
    """How much memory get_batch took at once, beyond its windows: of a mapped file with n ids of 16 bits each."""
    from data import get_batch

    Path(path).write_bytes(bytes(2 * n))
    data = np.memmap(path, np.uint16, mode="r")
    generator = torch.Generator().manual_seed(0)
    get_batch(data[:100], 4, 16, device="cpu", generator=generator)  # what is imported late is imported now
    tracemalloc.start()
    try:
        with Largest() as largest:
            get_batch(data, 4, 16, device="cpu", generator=generator)
        return max(tracemalloc.get_traced_memory()[1], largest.bytes)
    finally:
        tracemalloc.stop()
        del data


class Largest(TorchDispatchMode):
    """The size of the largest tensor that torch makes. A view of another tensor's memory is none."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        known = {part.untyped_storage().data_ptr() for part in args if isinstance(part, torch.Tensor)}
        for part in made if isinstance(made, tuple | list) else [made]:
            if isinstance(part, torch.Tensor) and part.untyped_storage().data_ptr() not in known:
                self.bytes = max(self.bytes, part.untyped_storage().nbytes())
        return made


def split(ids, share, as_array):
    """The two parts as tensors; from an array if asked for."""
    from data import split_tokens

    parts = split_tokens(ids.numpy() if as_array else ids, share)
    return [torch.as_tensor(part) for part in parts]
