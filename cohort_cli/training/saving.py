"""What a checkpoint holds: the whole training state as named tensors and a little JSON, and the way back.

Groups of tensors: "model" (parameters and buffers by their names; a tied one once) and "optimizer" (for each
parameter, by its name, what its optimizer remembers, such as "h.0.ln_1.weight/exp_avg"). Names, never positions: a
checkpoint that several processes wrote is read by one, and the other way round. What is sharded over processes is
gathered while saving and cut again while loading.

Weights that are frozen are not saved: the run's configuration says where they come from. And there is no random
state to keep: the engine draws the random numbers of each step from (seed, step, process).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cohort_cli.errors import BrokenManifest

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
    """(tensors by group, numbers that are no tensors). With shards, every process must call it."""
    tensors: Tensors = {
        "model": {name: _whole(t) for name, t in model_tensors(model).items()},
        "optimizer": {},
    }
    numbers: dict[str, Any] = {}
    for name, memory in _memories(model, optimizers):
        for key, value in memory.items():
            if isinstance(value, Tensor):
                tensors["optimizer"][f"{name}/{key}"] = _whole(value)
            else:
                numbers[f"{name}/{key}"] = value
    return tensors, numbers


def restore(
    model: nn.Module, optimizers: Sequence[Optimizer], tensors: Tensors, numbers: dict[str, Any], place: str
) -> None:
    """Put back what `collect` took. Raises BrokenManifest when the checkpoint is of another model."""
    load_model(model, tensors["model"], place)
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
                        key: _like(value, parameter) if isinstance(value, Tensor) else value
                        for key, value in memory.items()
                    }
                position += 1
        optimizer.load_state_dict(table)


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


def _whole(tensor: Tensor) -> Tensor:
    """The tensor itself, or all of it where this process holds a shard."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor.detach() if gather is None else gather().detach()


def _like(whole: Tensor, model: Tensor) -> Tensor:
    """`whole`, cut as `model` is cut. A number without dimensions (a step count) is never cut."""
    mesh = getattr(model, "device_mesh", None)
    if mesh is None or whole.dim() == 0:
        return whole
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole.to(mesh.device_type), mesh, model.placements)  # type: ignore[attr-defined]


def _differences(missing: list[str], extra: list[str]) -> str:
    parts = [
        f"it lacks {', '.join(missing[:3])}" if missing else "",
        f"it has {', '.join(extra[:3])}" if extra else "",
    ]
    return " and ".join(part for part in parts if part)
