"""What a checkpoint holds: the whole training state as named tensors and a little JSON, and the way back.

Groups of tensors: "model" (parameters and buffers by their names; a tied one once) and "optimizer" (for each
parameter, by its name, what its optimizer remembers, such as "h.0.ln_1.weight/exp_avg"). Names, never positions: a
checkpoint that several processes wrote is read by one, and the other way round. What is sharded over processes is
gathered while saving and cut again while loading.

Weights that are frozen are not saved: the run's configuration says where they come from. And there is no random
state to keep: the engine draws the random numbers of each step from (seed, step, process).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cohort_cli.errors import BrokenManifest
from cohort_cli.training import checkpoint, sharded
from cohort_cli.training.distributed import Processes

Tensors = dict[str, dict[str, Tensor]]


def bare(model: nn.Module) -> nn.Module:
    """The model below what DDP and torch.compile put around it."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel):
            inner: Any = model.module
        else:
            inner = getattr(model, "_orig_mod", None)  # torch.compile's
        if inner is None:
            return model
        model = inner


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters that learn and persistent buffers by name, as they lie in memory; a tied one under its first name."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in bare(model).state_dict(keep_vars=True).items():
        frozen = isinstance(tensor, nn.Parameter) and not tensor.requires_grad
        if isinstance(tensor, Tensor) and not frozen and id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor.detach()
    return found


def collect(model: nn.Module, optimizers: Sequence[Optimizer]) -> tuple[Tensors, dict[str, Any]]:
    """(tensors by group, numbers that are no tensors). Of what is sharded, this process's shards."""
    tensors: Tensors = {"model": model_tensors(model), "optimizer": {}}
    numbers: dict[str, Any] = {}
    for name, memory in _memories(model, optimizers):
        for key, value in memory.items():
            if isinstance(value, Tensor):
                tensors["optimizer"][f"{name}/{key}"] = value.detach()
            else:
                numbers[f"{name}/{key}"] = value
    return tensors, numbers


def restore(
    model: nn.Module, optimizers: Sequence[Optimizer], tensors: Tensors, numbers: dict[str, Any], place: str
) -> None:
    """Put back what `collect` took. Raises BrokenManifest when the checkpoint is of another model."""
    load_model(model, tensors["model"], place)
    # What is read is mapped from the file, and an optimizer would keep that: it gets copies.
    names = {parameter: name for name, parameter in bare(model).named_parameters()}
    memories: dict[str, dict[str, Any]] = {}
    for group in (tensors["optimizer"], numbers):
        for full, value in group.items():
            name, _, key = full.rpartition("/")
            memories.setdefault(name, {})[key] = value
    for optimizer in optimizers:
        table = optimizer.state_dict()
        position = 0
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if (memory := memories.get(names[parameter])) is not None:
                    table["state"][position] = {
                        key: _like(value, parameter).clone() if isinstance(value, Tensor) else value
                        for key, value in memory.items()
                    }
                position += 1
        optimizer.load_state_dict(table)


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds only a part of the tensor (a DTensor)."""
    return hasattr(tensor, "device_mesh")


def empty_like(model: nn.Module) -> sharded.Like | None:
    """What a sharded checkpoint is read into: tensors cut as the model's are. None if nothing is sharded."""
    own = model_tensors(model)
    if not any(map(is_sharded, own.values())):
        return None

    def like(key: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        name = key.partition(":")[2]
        parameter = own.get(name, own.get(name.rpartition("/")[0]))
        if parameter is None or parameter.shape != shape:
            return torch.empty(shape, dtype=dtype)
        return torch.empty_like(parameter, dtype=dtype)

    return like


def save_together(
    folder: Path,
    step: int,
    tensors: Tensors,
    state: dict[str, Any],
    processes: Processes,
    *,
    keep: int,
    is_best: bool,
) -> None:
    """Write a checkpoint of shards. Every process calls it, and returns when the checkpoint is safe.

    Raises what went wrong in this process, or OtherProcessFailed.
    """

    def fill(aside: Path) -> None:
        _agree(processes, True)  # the folder is there
        sharded.write(aside, tensors)

    try:
        if processes.first:
            needed = sum(t.numel() * t.element_size() for named in tensors.values() for t in named.values())
            checkpoint.write_with(fill, folder, step, needed, json.dumps(state), keep=keep, is_best=is_best)
        else:
            fill(checkpoint.aside_of(folder, step))
    except OtherProcessFailed:
        raise
    except Exception:
        _agree(processes, False)
        raise
    _agree(processes, True)


class OtherProcessFailed(RuntimeError):
    """Another process could not write its part of a checkpoint; it says why."""


def _agree(processes: Processes, well: bool) -> None:
    """All processes wait here for each other. Raises OtherProcessFailed if another one is not well."""
    if processes.any(not well) and well:
        raise OtherProcessFailed("Another process could not write its part of the checkpoint.")


def load_model(model: nn.Module, saved: dict[str, Tensor], place: str) -> None:
    """Copy saved weights into the model. Raises BrokenManifest if a name or a shape does not fit."""
    own = model_tensors(model)
    missing, extra = sorted(own.keys() - saved.keys()), sorted(saved.keys() - own.keys())
    if missing or extra:
        raise BrokenManifest(
            f"{place} is of another model: " + _differences(missing, extra) + ".",
            "Use the model that the run was started with, or start a new run.",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != saved[name].shape:
                raise BrokenManifest(
                    f"{place} is of another model: {name} is {list(saved[name].shape)} there "
                    f"and {list(tensor.shape)} here.",
                    "Use the configuration that the run was started with.",
                )
            tensor.copy_(_like(saved[name], tensor))


def _memories(model: nn.Module, optimizers: Sequence[Optimizer]) -> Iterator[tuple[str, dict[str, Any]]]:
    names: dict[Tensor, str] = {parameter: name for name, parameter in bare(model).named_parameters()}
    for optimizer in optimizers:
        for parameter, memory in optimizer.state.items():
            yield names[parameter], memory


def _like(whole: Tensor, model: Tensor) -> Tensor:
    """`whole`, cut as `model` is cut. What is cut already and a number without dimensions (a step) stay as they are."""
    if not is_sharded(model) or is_sharded(whole) or whole.dim() == 0:
        return whole
    from torch.distributed.tensor import distribute_tensor

    like: Any = model
    return distribute_tensor(whole.to(like.device_mesh.device_type), like.device_mesh, like.placements)


def _differences(missing: list[str], extra: list[str]) -> str:
    parts = [
        f"it lacks {', '.join(missing[:3])}" if missing else "",
        f"it has {', '.join(extra[:3])}" if extra else "",
    ]
    return " and ".join(part for part in parts if part)
