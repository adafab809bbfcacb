"""Tokens as latin-1 text: a character is a byte, and the order is the order of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def to_latin(data: bytes) -> str:
    return data.decode("latin-1")


def from_latin(token: str) -> bytes:
    return token.encode("latin-1")


def bytes_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(from_latin(left), from_latin(right)) for left, right in pairs]


def replaced(items: Iterable[T], pair: tuple[T, T], new: T) -> Iterator[T]:
    """The items, with `new` for each occurrence of the pair."""
    rest = iter(items)
    for item in rest:
        while item == pair[0]:  # a row of the left half: each needs a look at the next one
            following = next(rest, rest)
            if following is rest:
                break
            if following == pair[1]:
                item = new
                break
            yield item
            item = following  # type: ignore[assignment]
        yield item
