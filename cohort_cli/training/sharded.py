"""Tensors that are sharded over processes: each process writes its own part, by torch.distributed.checkpoint.

The parts are safetensors files, whose headers say where in the whole tensor they belong. So any number of processes
can read them, one alone too, and nothing is unpickled. What surrounds them (the folder aside, the manifest, the
renaming) is the same as for every checkpoint.

Source: PyTorch, https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

Tensors = dict[str, dict[str, Tensor]]  # group -> name -> tensor
Like = Callable[[str, torch.Size, torch.dtype], Tensor]

PREFIX = "shard-"  # what the library calls its files


def write(folder: Path, tensors: Tensors) -> None:
    """This process's part of the tensors, into a folder that is there. Every process calls it at the same time."""
    import torch.distributed.checkpoint as dcp  # takes as long as torch itself, and few runs need it

    flat = {f"{group}:{name}": tensor for group, named in tensors.items() for name, tensor in named.items()}
    dcp.save(flat, storage_writer=dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True))


def is_sharded(names: Iterable[str]) -> bool:
    """Whether a checkpoint of these files was written by several processes."""
    return any(name.startswith(PREFIX) for name in names)


def read(path: Path, like: Like | None = None) -> Tensors:
    """All tensors of a sharded checkpoint.

    like(key, shape, dtype): an empty tensor to read into, perhaps a sharded one; each process then reads its own
    part. Without it the tensors are whole, and no other process is needed.
    """
    import torch.distributed.checkpoint as dcp

    reader = dcp.HuggingFaceStorageReader(str(path))
    flat = {}
    for key, entry in reader.read_metadata().state_dict_metadata.items():
        size, dtype = entry.size, entry.properties.dtype  # type: ignore[union-attr]
        flat[key] = torch.empty(size, dtype=dtype) if like is None else like(key, size, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "assuming a single process": that is what we asked for
        dcp.load(flat, storage_reader=reader, no_dist=like is None)
    tensors: Tensors = {"model": {}, "optimizer": {}}  # before the first step an optimizer remembers nothing
    for key, tensor in flat.items():
        group, _, name = key.partition(":")
        tensors.setdefault(group, {})[name] = tensor
    return tensors
