"""A run in one file, so that it can stop at any moment and go on as if it had not.    Step: checkpoint

What decides the rest of a run: the model's weights and buffers, the optimizer's state, the step, the position in the
data, and every random number generator. All of it goes into one file, without pickle: a pickle can run any program when
it is loaded. Tensors are in the safetensors format, everything else is JSON in its metadata, and a SHA-256 of all that
closes the file.

Sources: PyTorch, "Reproducibility"; safetensors, https://github.com/huggingface/safetensors; Pillai et al. 2014 on what
a file system promises when the power fails, https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

DIGEST_BYTES = hashlib.sha256().digest_size


def random_state() -> dict[str, Any]:
    """Where the global random number generators stand: Python's `random`, NumPy's, torch's (CPU, and CUDA if there).

    A dict that save_checkpoint can save; what is in it is up to you. No generator is moved by asking.
    """
    kind, words, position, has_gauss, gauss = np.random.get_state()
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(words.astype(np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Put all generators back to where they stood when random_state() was called, in this process or another."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, array, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, array.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def save_checkpoint(
    path: str | Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    rng: dict[str, Any],
    config: dict[str, Any],
    data_state: dict[str, Any],
) -> None:
    """Write all of it to the one file `path`. Whatever happens meanwhile, `path` is a whole checkpoint or the old one.

    model, optimizer: their state_dicts, every value exactly: any dtype (bfloat16 and whole numbers too), tensors of no
    dimension, tensors that are not contiguous, numbers and strings in the optimizer's groups. A tensor that has two
    names (a tied matrix) is stored once. step: optimizer steps done. rng: from random_state(). config, data_state: what
    JSON can carry; the caller's own notes, such as the state of the generator that draws batches.

    Nothing is pickled, neither directly nor by torch.save. The new file is written under another name in the same
    folder, forced to the disk (os.fsync), and only then renamed to `path`, which replaces the old one in one step.
    Afterwards nothing else is left in the folder. A file that an interrupted save left behind must not disturb the next.
    """
    path = Path(path)
    tensors: dict[str, Tensor] = {}
    seen: dict[Any, str] = {}
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "rng": rng,
        "config": config,
        "data_state": data_state,
    }
    text = json.dumps(_pack(state, tensors, seen))
    data = safetensors.torch.save(tensors, metadata={"state": text})
    aside = path.with_name(path.name + ".tmp")
    with open(aside, "wb") as file:
        file.write(data)
        file.write(hashlib.sha256(data).digest())
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def load_checkpoint(
    path: str | Path, *, model: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> dict[str, Any]:
    """Put a checkpoint into `model`, and into `optimizer` if one is given. Returns step, rng, config and data_state.

    model and optimizer are built as they were for the run; their values are replaced in place, so that the optimizer
    still means this model's parameters, and what was tied stays tied. The optimizer's groups come back too, with their
    learning rates. The dict has the keys "step", "rng", "config" and "data_state"; no generator is moved, that is
    restore_random_state(result["rng"]).

    A file in which any byte differs from what was saved, or that is too short or too long, is a ValueError whose
    message has the file's name; then nothing in model or optimizer has changed. So is a checkpoint of another model: one
    with tensors that are missing, left over or of another shape. No file there: FileNotFoundError.
    """
    path = Path(path)
    raw = path.read_bytes()
    data, digest = raw[:-DIGEST_BYTES], raw[-DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError(f"{path} is damaged: its checksum does not fit. Use an older checkpoint.")
    try:
        tensors = safetensors.torch.load(data)
        state = _unpack(json.loads(_metadata(data)["state"]), tensors)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no checkpoint: {error}") from None
    own = model.state_dict()
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in state["model"].items()}:
        raise ValueError(f"{path} is a checkpoint of another model: names or shapes of its tensors differ.")
    model.load_state_dict(state["model"])
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    return {key: state[key] for key in ("step", "rng", "config", "data_state")}


def _pack(value: Any, tensors: dict[str, Tensor], seen: dict[Any, str]) -> Any:
    """`value` as JSON. Tensors go to `tensors` and leave their name; dicts and tuples become marked lists.

    seen: where in memory -> name, so that a tied tensor is stored once.
    """
    if isinstance(value, Tensor):
        place = (value.data_ptr(), value.dtype, value.shape, value.stride()) if value.numel() else object()
        if place not in seen:
            seen[place] = str(len(tensors))
            tensors[seen[place]] = value.detach().cpu().contiguous()
        return {"tensor": seen[place]}
    if isinstance(value, dict):
        return {"dict": [[_pack(k, tensors, seen), _pack(v, tensors, seen)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, tensors, seen) for item in value]}
    if isinstance(value, list):
        return [_pack(item, tensors, seen) for item in value]
    return value  # None, bool, int, float and str are JSON already; anything else makes json.dumps complain


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of _pack. A JSON object is one of the three marks."""
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "tuple" in value:
        return tuple(_unpack(item, tensors) for item in value["tuple"])
    return {_unpack(k, tensors): _unpack(v, tensors) for k, v in value["dict"]}


def _metadata(data: bytes) -> dict[str, str]:
    """The texts in the header of a safetensors file: 8 bytes with its length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return found
