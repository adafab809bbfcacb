"""Readers for files from strangers: UTF-8 text, JSON and safetensors, each refused for whatever is not plain.

    text(data)             UTF-8, without characters that steer a terminal or turn the direction of a line
    value(text)            JSON without NaN, infinities, numbers that no double holds, double keys and deep nesting
    table(value, keys)     an object with these keys and no others
    tensors(head, size)    the tensors of a safetensors file, whose data must fill the file without a gap

Each raises Refused. Nothing here imports a library that has ever run what it read.
"""

from __future__ import annotations

import array
import json
import math
import re
import sys
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

DEEPEST = 12  # levels of JSON
MOST_HEADER = 1 << 20  # bytes of a safetensors header
MOST_TENSORS = 4096
LARGEST = 1e30  # numbers beyond this are no measurements
DTYPES = {"I8": 1, "U8": 1, "BOOL": 1, "F16": 2, "BF16": 2, "I16": 2, "F32": 4, "I32": 4, "F64": 8, "I64": 8}

# Control characters but tab and line break, marks that turn the direction, separators of lines, halves of characters.
_STEERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_MAGIC = {
    b"PK\x03\x04": "an archive, or what torch.save writes",
    b"\x1f\x8b": "a compressed file",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x7fELF": "a program",
    b"MZ": "a program",
}


class Refused(ValueError):
    """What is wrong with a file, as a clause behind its name."""


def text(data: bytes) -> str:
    try:
        found = data.decode("utf-8")
    except UnicodeDecodeError as trouble:
        what = next((says for magic, says in _MAGIC.items() if data.startswith(magic)), "")
        raise Refused(f"it is {what or f'not UTF-8 (byte {trouble.start})'}") from None
    _plain(found.replace("\r\n", "\n"))
    return found


def _plain(words: str) -> None:
    if found := _STEERS.search(words):
        raise Refused(f"it has the character U+{ord(found[0]):04X}")


# --- JSON ------------------------------------------------------------------------------------------------------


def value(words: str) -> Any:
    """One value of JSON."""
    try:
        found = json.loads(
            words, parse_int=_int, parse_float=_float, parse_constant=_constant, object_pairs_hook=_pairs
        )
    except Refused:
        raise
    except RecursionError:
        raise Refused("it is nested too deeply") from None
    except ValueError:
        raise Refused("it is no JSON") from None
    level = [found]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise Refused("it is nested too deeply")
    return found


def _inside(outer: Any) -> Iterable[Any]:
    if isinstance(outer, dict):
        return outer.values()
    return outer if isinstance(outer, list) else ()


def _int(digits: str) -> int:
    if len(digits) > 20:
        raise Refused("it has a whole number with more than 20 digits")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > 40 or not math.isfinite(found := float(digits)):
        raise Refused("it has a number that is too large or too long")
    return found


def _constant(name: str) -> float:
    raise Refused(f"it has {name}, which is no number of JSON")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused("it has a key twice")
    return found


def rows(words: str, most: int) -> list[Any]:
    """The values of a file with one on each line."""
    lines = words.split("\n")
    if lines.pop():
        raise Refused("its last line is cut off")
    if len(lines) > most:
        raise Refused(f"it has {len(lines):,} lines; {most:,} are allowed")
    return [value(line) for line in lines]


def table(found: Any, keys: Collection[str], optional: Collection[str] = ()) -> dict[str, Any]:
    """An object with all of `keys`, perhaps some of `optional`, and no other."""
    if not isinstance(found, dict):
        raise Refused("there is something else where an object belongs")
    for key in found:
        if key not in keys and key not in optional:
            raise Refused(f"unknown key {key[:40]!r}")
    for key in keys:
        if key not in found:
            raise Refused(f"the key {key!r} is missing")
    return found


def words(found: Any, what: str, pattern: str = "", longest: int = 200) -> str:
    """A text: all of it matches the pattern, or it is a line that steers nothing."""
    if not isinstance(found, str):
        raise Refused(f"{what} is no text")
    if len(found) > longest:
        raise Refused(f"{what} is longer than {longest:,} characters")
    _plain(found)
    if pattern and not re.fullmatch(pattern, found, re.ASCII):
        raise Refused(f"{what} is {found[:40]!r}, which is not allowed")
    return found


def whole(found: Any, what: str, least: int = 0, most: int = 10**15) -> int:
    if type(found) is not int or not least <= found <= most:
        raise Refused(f"{what} is no whole number from {least:,} to {most:,}")
    return found


def number(found: Any, what: str) -> float:
    if type(found) not in (int, float) or not abs(found) <= LARGEST:
        raise Refused(f"{what} is no number that could have been measured")
    return float(found)


# --- safetensors -----------------------------------------------------------------------------------------------


class Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    begin: int  # of its data, in bytes behind the header
    end: int

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


def tensors(head: bytes, size: int) -> dict[str, Tensor]:
    """name -> tensor. `head`: the beginning of a file of `size` bytes, at least its header."""
    length = int.from_bytes(head[:8], "little")
    if size < 8 or not 2 <= length <= min(MOST_HEADER, size - 8):
        raise Refused("its beginning is no header of safetensors")
    header = value(text(head[8 : 8 + length]))
    if not isinstance(header, dict):
        raise Refused("its header is no object")
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or len(notes) > 100:
        raise Refused("its __metadata__ is no small object")
    for key, note in notes.items():
        words(key, "a key of __metadata__")
        words(note, "a text of __metadata__", longest=10_000)
    if not 1 <= len(header) <= MOST_TENSORS:
        raise Refused(f"it has {len(header):,} tensors; 1 to {MOST_TENSORS:,} are allowed")
    found = {
        words(name, "a tensor's name", r"[A-Za-z0-9_.]+"): _tensor(facts) for name, facts in header.items()
    }
    at = 0
    for tensor in sorted(found.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != at or tensor.end - tensor.begin != tensor.numbers * DTYPES[tensor.dtype]:
            raise Refused("its tensors do not lie one behind the other, each as large as its shape")
        at = tensor.end
    if at != size - 8 - length:
        raise Refused("its data is longer or shorter than its header says")
    return found


def _tensor(facts: Any) -> Tensor:
    facts = table(facts, ("dtype", "shape", "data_offsets"))
    if not isinstance(facts["dtype"], str) or facts["dtype"] not in DTYPES:
        raise Refused("a tensor has a dtype that is not known")
    shape, offsets = facts["shape"], facts["data_offsets"]
    if not isinstance(shape, list) or len(shape) > 8 or not isinstance(offsets, list) or len(offsets) != 2:
        raise Refused("a tensor's shape or its offsets are no lists")
    begin, end = (whole(offset, "a tensor's offset") for offset in offsets)
    return Tensor(facts["dtype"], tuple(whole(size, "a tensor's size") for size in shape), begin, end)


def require_finite(data: bytes, found: dict[str, Tensor]) -> None:
    """Every float32 of a whole file is a number."""
    start = 8 + int.from_bytes(data[:8], "little")
    for name, tensor in found.items():
        if tensor.dtype == "F32":
            numbers = array.array("f", data[start + tensor.begin : start + tensor.end])
            if sys.byteorder == "big":
                numbers.byteswap()
            if not all(map(math.isfinite, numbers)):
                raise Refused(f"{name} has a value that is no number")
