"""Draws tokens for people: the text cut into pieces, a table of the pieces, and where two tokenizers differ.

Nothing that a token holds can steer the terminal: control characters and bytes that are no UTF-8 are written as escapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cohort_cli.tokens.client import Token

# Two light backgrounds under black letters: blue and orange stay apart for every kind of colour blindness.
BACKGROUNDS = ("\x1b[30;48;5;153m", "\x1b[30;48;5;222m")
PLAIN = "\x1b[0m"
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(piece: bytes) -> str:
    r"""The text of a token on one line: "é" stays, a line feed is \n, a byte that is no UTF-8 is \xe2."""
    return "".join(map(_escaped, piece.decode("utf-8", "backslashreplace")))


def _escaped(character: str) -> str:
    if character == " " or character.isprintable():
        return character
    if character in _SHORT or ord(character) < 0x80:
        return _SHORT.get(character, f"\\x{ord(character):02x}")
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def escaped_bytes(piece: bytes) -> str:
    r"""The bytes of a token: ASCII as it is, everything else as \xe2."""
    return piece.decode("latin-1").encode("unicode_escape").decode("ascii")


def cut(tokens: Iterable[Token], colour: bool) -> str:
    """The text with its cuts: coloured in turn, or with "|" between tokens. Lines end where the text's lines do."""
    lines: list[list[str]] = [[]]
    for number, token in enumerate(tokens):
        text = visible(token.piece)
        lines[-1].append(f"{BACKGROUNDS[number % 2]}{text}{PLAIN}" if colour else text)
        if token.piece.endswith(b"\n"):
            lines.append([])
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    return "\n".join(("" if colour else "|").join(line) for line in lines)


def table(tokens: list[Token]) -> list[str]:
    """A line for each token: id, bytes, text."""
    rows = [(str(id), escaped_bytes(piece), f'"{visible(piece)}"') for id, piece in tokens]
    first, second = (max([width, *(len(row[n]) for row in rows)]) for n, width in ((0, 2), (1, 5)))
    return [
        f"{id:>{first}}  {data:<{second}}  {text}".rstrip()
        for id, data, text in [("id", "bytes", "text"), *rows]
    ]


def rate(size: int, tokens: int) -> str:
    """Bytes per token."""
    return f"{size / tokens:.2f}" if tokens else "-"


class Difference(NamedTuple):
    """The first place where two tokenizers cut differently: the byte where both begin a token, and the two tokens."""

    byte: int
    first: bytes
    second: bytes


def first_difference(first: list[Token], second: list[Token]) -> Difference | None:
    """None if both cut at the same places."""
    byte = 0
    for one, other in zip(first, second, strict=False):
        if len(one.piece) != len(other.piece):
            return Difference(byte, one.piece, other.piece)
        byte += len(one.piece)
    return None
