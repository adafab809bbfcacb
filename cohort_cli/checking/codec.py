"""Python values and tensors, to and from what a frame can carry.

JSON carries None, bool, int, str, finite floats and lists as they are. Everything else is an object with the
key "$" that says what it is: tuple, dict, float (inf and nan), tensor, dtype, generator, object.
An "object" is a value that stays on the player's side; the judge holds its number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cohort_cli.checking.wire import WireError

MAX_DEPTH = 32
MAX_NDIM = 16
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
        torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128,
    )
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Unsendable(Exception):
    """A value that cannot travel, with the reason in words."""


def encode(
    value: Any, keep: Callable[[Any], dict[str, Any]] | None = None
) -> tuple[Any, list[dict[str, Any]], bytes]:
    """`value` as (JSON value, table of tensors, their bytes). `keep` turns any other object into an "object".

    Raises Unsendable for a value that cannot travel.
    """
    table: list[dict[str, Any]] = []
    chunks: list[bytes] = []

    def walk(value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise Unsendable("the value is nested too deeply")
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int:
            return value if abs(value) < 2**63 else {"$": "int", "v": str(value)}
        if type(value) is float:
            return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
        if isinstance(value, Tensor):
            entry, data = _tensor_bytes(value)
            table.append(entry)
            chunks.append(data)
            return {"$": "tensor", "i": len(table) - 1}
        if type(value) is list:
            return [walk(item, depth + 1) for item in value]
        if isinstance(value, tuple):
            return {"$": "tuple", "v": [walk(item, depth + 1) for item in value]}
        if isinstance(value, dict):
            return {"$": "dict", "v": [[walk(k, depth + 1), walk(v, depth + 1)] for k, v in value.items()]}
        if isinstance(value, torch.dtype) and value in NAMES:
            return {"$": "dtype", "v": NAMES[value]}
        if isinstance(value, torch.Generator):
            return {"$": "generator", "v": value.initial_seed()}
        if keep is None:
            raise Unsendable(f"a {type(value).__name__} cannot be sent")
        return keep(value)

    return walk(value, 0), table, b"".join(chunks)


def decode(value: Any, table: Any, data: bytes, find: Callable[[int, str], Any] | None = None) -> Any:
    """The inverse of `encode`. Raises WireError for anything that `encode` would not have written."""
    tensors = _tensors(table, data)

    def walk(value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise WireError("a value is nested too deeply")
        if value is None or isinstance(value, bool | int | str | float):
            return value
        if isinstance(value, list):
            return [walk(item, depth + 1) for item in value]
        kind, inner = value.get("$"), value.get("v")
        if kind == "tensor" and type(value.get("i")) is int and 0 <= value["i"] < len(tensors):
            return tensors[value["i"]]
        if kind == "tuple" and isinstance(inner, list):
            return tuple(walk(item, depth + 1) for item in inner)
        if (
            kind == "dict"
            and isinstance(inner, list)
            and all(isinstance(e, list) and len(e) == 2 for e in inner)
        ):
            return {_hashable(walk(k, depth + 1)): walk(v, depth + 1) for k, v in inner}
        if kind == "float" and inner in ("inf", "-inf", "nan"):
            return float(inner)
        if kind == "int" and isinstance(inner, str) and len(inner) < 1000 and inner.lstrip("-").isdigit():
            return int(inner)
        if kind == "dtype" and isinstance(inner, str) and inner in DTYPES:
            return DTYPES[inner]
        if kind == "generator" and type(inner) is int:
            return torch.Generator().manual_seed(inner)
        if (
            kind == "object"
            and type(inner) is int
            and isinstance(value.get("type"), str)
            and find is not None
        ):
            return find(inner, value["type"])
        raise WireError("a value of an unknown kind")

    return walk(value, 0)


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        raise WireError("a dict key that cannot be one") from None
    return key


def _tensor_bytes(tensor: Tensor) -> tuple[dict[str, Any], bytes]:
    if tensor.layout is not torch.strided or tensor.device.type == "meta" or tensor.is_quantized:
        kind = "meta" if tensor.device.type == "meta" else str(tensor.layout).removeprefix("torch.")
        raise Unsendable(f"the result is a {kind} tensor; an ordinary dense tensor is needed")
    if tensor.dtype not in NAMES:
        raise Unsendable(f"the result has the data type {tensor.dtype}")
    plain = torch.Tensor.detach(tensor).cpu().resolve_conj().resolve_neg().contiguous()
    raw = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
    return {"dtype": NAMES[tensor.dtype], "shape": list(plain.shape)}, raw


def _tensors(table: Any, data: bytes) -> list[Tensor]:
    if not isinstance(table, list):
        raise WireError("no table of tensors")
    tensors, start = [], 0
    for entry in table:
        if not isinstance(entry, dict):
            raise WireError("a tensor without a description")
        dtype, shape = DTYPES.get(str(entry.get("dtype"))), entry.get("shape")
        if dtype is None or not isinstance(shape, list) or len(shape) > MAX_NDIM:
            raise WireError("a tensor with an unknown dtype or shape")
        if not all(type(n) is int and 0 <= n < 2**40 for n in shape):
            raise WireError("a tensor with an impossible shape")
        size = math.prod(shape) * dtype.itemsize
        if size > len(data) - start:
            raise WireError("a tensor claims more bytes than were sent")
        tensors.append(_tensor(data[start : start + size], dtype, shape))
        start += size
    if start != len(data):
        raise WireError("bytes that belong to no tensor")
    return tensors


def _tensor(raw: bytes, dtype: torch.dtype, shape: list[int]) -> Tensor:
    if not raw:
        try:
            return torch.empty(shape, dtype=dtype)
        except RuntimeError:
            raise WireError("a tensor with an impossible shape") from None
    if dtype is torch.bool:  # a byte other than 0 or 1 is not a bool
        return torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(shape) != 0
    return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)
