"""Python values and tensors, to and from what a frame can carry.

JSON carries None, bool, int, str, finite floats and lists as they are. Everything else is an object with the
key "$" that says what it is: tuple, dict, set, bytes, path, int (a large one), float (inf and nan), tensor, dtype,
generator, object. An "object" is a value that stays on the player's side; the judge holds its number.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from cohort_cli.checking import tensors
from cohort_cli.checking.wire import Unsendable, WireError

MAX_DEPTH = 32
INLINE_BYTES = 1024  # longer ones travel beside the JSON, as tensors do


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
        if value is None or type(value) is bool:
            return value
        # What derives from a plain type travels as that type, whatever methods it has of its own.
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            value = int.__int__(value)
            return value if abs(value) < 2**63 else {"$": "int", "v": str(value)}
        if isinstance(value, float):
            value = float.__float__(value)
            return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
        if type(value) is bytes:
            if len(value) > INLINE_BYTES:
                table.append({"dtype": "bytes", "shape": [len(value)]})
                chunks.append(value)
                return {"$": "tensor", "i": len(table) - 1}
            return {"$": "bytes", "v": base64.b64encode(value).decode("ascii")}
        if isinstance(value, list):
            return [walk(item, depth + 1) for item in list.__iter__(value)]
        if isinstance(value, tuple):
            return {"$": "tuple", "v": [walk(item, depth + 1) for item in tuple.__iter__(value)]}
        if isinstance(value, dict):
            return {
                "$": "dict",
                "v": [[walk(k, depth + 1), walk(v, depth + 1)] for k, v in dict.items(value)],
            }
        if type(value) in (set, frozenset):
            return {"$": "set", "v": [walk(item, depth + 1) for item in value]}
        if isinstance(value, PurePath):
            return {"$": "path", "v": str(value)}
        coded = tensors.encode(value, table, chunks)
        if coded is not None:
            return coded
        if keep is None:
            raise Unsendable(f"a {type(value).__name__} cannot be sent")
        return keep(value)

    return walk(value, 0), table, b"".join(chunks)


def decode(value: Any, table: Any, data: bytes, find: Callable[[int, str], Any] | None = None) -> Any:
    """The inverse of `encode`. Raises WireError for anything that `encode` would not have written."""
    arrays = tensors.from_table(table, data) if table != [] or data else []

    def walk(value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise WireError("a value is nested too deeply")
        if value is None or isinstance(value, bool | int | str | float):
            return value
        if isinstance(value, list):
            return [walk(item, depth + 1) for item in value]
        kind, inner = value.get("$"), value.get("v")
        if kind == "tensor" and type(value.get("i")) is int and 0 <= value["i"] < len(arrays):
            return arrays[value["i"]]
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
        if kind == "int" and isinstance(inner, str) and re.fullmatch(r"-?[0-9]{1,1000}", inner):
            return int(inner)
        if kind == "bytes" and isinstance(inner, str):
            return _bytes(inner)
        if kind == "path" and isinstance(inner, str):
            return PurePath(inner)
        if kind == "set" and isinstance(inner, list):
            return {_hashable(walk(item, depth + 1)) for item in inner}
        if kind == "dtype" and inner in tensors.DTYPES:
            return tensors.dtype(inner)
        if kind == "generator" and type(inner) is int and abs(inner) < 2**63:
            return tensors.generator(inner)
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


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise WireError("bytes that are not base64") from None
