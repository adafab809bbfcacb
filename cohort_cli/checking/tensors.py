"""Tensors on the wire, and the question whether something is one.

`is_tensor` and `loaded` do not import torch: where it is not imported, nothing is a tensor, and a project that works
without torch does not wait for it.
"""

from __future__ import annotations

import math
import random
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from cohort_cli.checking.wire import Unsendable, WireError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MAX_NDIM = 16
DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128",
)  # fmt: skip


def loaded() -> Any:
    """torch, if something has imported it in this process, else None."""
    return sys.modules.get("torch")


def is_tensor(value: object) -> TypeGuard[Tensor]:
    torch = loaded()
    return torch is not None and isinstance(value, torch.Tensor)


def seed(number: int) -> None:
    """Python's random numbers, and torch's if it is there, start at `number`."""
    random.seed(number)
    torch = loaded()
    if torch is not None:
        torch.default_generator.manual_seed(number)  # the CPU's; torch.manual_seed wakes every kind of device


def encode(value: Any, table: list[dict[str, Any]], chunks: list[bytes]) -> dict[str, Any] | None:
    """A tensor, dtype or generator as a JSON object; a tensor's bytes go to `chunks`. None for anything else."""
    torch = loaded()
    if torch is None:
        return None
    if isinstance(value, torch.Tensor):
        entry, data = _bytes_of(value)
        table.append(entry)
        chunks.append(data)
        return {"$": "tensor", "i": len(table) - 1}
    if isinstance(value, torch.dtype) and _name(value) in DTYPES:
        return {"$": "dtype", "v": _name(value)}
    if isinstance(value, torch.Generator):
        return {"$": "generator", "v": value.initial_seed()}
    return None


def dtype(name: object) -> torch.dtype | None:
    """The dtype of this name, if it is one that travels."""
    import torch

    return getattr(torch, name) if isinstance(name, str) and name in DTYPES else None


def generator(seed: int) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(seed)


def from_table(table: Any, data: bytes) -> list[Tensor | bytes]:
    """The tensors and long bytes of a frame. Raises WireError for a table that `encode` would not have written."""
    if not isinstance(table, list):
        raise WireError("no table of tensors")
    tensors: list[Tensor | bytes] = []
    start = 0
    for entry in table:
        if not isinstance(entry, dict):
            raise WireError("a tensor without a description")
        shape = entry.get("shape")
        plain = entry.get("dtype") == "bytes"
        kind = None if plain else dtype(entry.get("dtype"))
        if (kind is None and not plain) or not isinstance(shape, list) or len(shape) > MAX_NDIM:
            raise WireError("a tensor with an unknown dtype or shape")
        if not all(type(n) is int and 0 <= n < 2**40 for n in shape):
            raise WireError("a tensor with an impossible shape")
        size = math.prod(shape) * (kind.itemsize if kind is not None else 1)
        if size > len(data) - start:
            raise WireError("a tensor claims more bytes than were sent")
        raw = data[start : start + size]
        tensors.append(raw if kind is None else _tensor(raw, kind, shape))
        start += size
    if start != len(data):
        raise WireError("bytes that belong to no tensor")
    return tensors


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def _bytes_of(tensor: Tensor) -> tuple[dict[str, Any], bytes]:
    import torch

    if tensor.layout is not torch.strided or tensor.device.type == "meta" or tensor.is_quantized:
        kind = "meta" if tensor.device.type == "meta" else str(tensor.layout).removeprefix("torch.")
        raise Unsendable(f"the result is a {kind} tensor; an ordinary dense tensor is needed")
    if _name(tensor.dtype) not in DTYPES:
        raise Unsendable(f"the result has the data type {tensor.dtype}")
    plain = torch.Tensor.detach(tensor).cpu().resolve_conj().resolve_neg().contiguous()
    if plain.numel() == 1:  # contiguous whatever its strides, and they may forbid to read it as bytes
        plain = plain.clone(memory_format=torch.contiguous_format)
    raw = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
    return {"dtype": _name(tensor.dtype), "shape": list(plain.shape)}, raw


def _tensor(raw: bytes, kind: torch.dtype, shape: list[int]) -> Tensor:
    import torch

    if not raw:
        try:
            return torch.empty(shape, dtype=kind)
        except RuntimeError:
            raise WireError("a tensor with an impossible shape") from None
    if kind is torch.bool:  # a byte other than 0 or 1 is not a bool
        return torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(shape) != 0
    return torch.frombuffer(bytearray(raw), dtype=kind).reshape(shape)
