"""A run in one file, so that it can stop at any moment and go on as if it had not.    Step: checkpoint

What decides the rest of a run: the model's weights and buffers, the optimizer's state, the step, the position in the
data, and every random number generator. All of it goes into one file, without pickle: a pickle can run any program when
it is loaded. Tensors are in the safetensors format, everything else is JSON in its metadata, and a SHA-256 of all that
closes the file.

Sources: PyTorch, "Reproducibility"; safetensors, https://github.com/huggingface/safetensors; Pillai et al. 2014 on what
a file system promises when the power fails, https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

DIGEST_BYTES = hashlib.sha256().digest_size


def random_state() -> dict[str, Any]:
    """Where the global random number generators stand: Python's `random`, NumPy's, torch's (CPU, and CUDA if there).

    A dict that save_checkpoint can save; what is in it is up to you. No generator is moved by asking.
    """
    raise NotImplementedError("checkpoint: random_state")


def restore_random_state(state: dict[str, Any]) -> None:
    """Put all generators back to where they stood when random_state() was called, in this process or another."""
    raise NotImplementedError("checkpoint: restore_random_state")


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
    raise NotImplementedError("checkpoint: save_checkpoint")


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
    raise NotImplementedError("checkpoint: load_checkpoint")
