"""Texts to cut and texts to learn from. Everything is UTF-8, and what is not is refused with its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.prose import clean

NOT_UTF8 = "Save it as UTF-8, or convert it, such as: iconv -f latin1 -t utf-8 OLD > NEW"


class Source(NamedTuple):
    """A file, or a text that is already here."""

    name: str
    path: Path | None = None
    text: str | None = None

    def size(self) -> int:
        """Bytes."""
        if self.path is None:
            return len((self.text or "").encode("utf-8"))
        try:
            return self.path.stat().st_size
        except OSError as trouble:
            raise _unreadable(self.path, trouble) from None

    def read(self) -> str:
        return self.text or "" if self.path is None else read_text(self.path)

    def lines(self) -> Iterator[str]:
        """Each line that is not empty, without its end."""
        if self.path is None:
            yield from (line for line in (self.text or "").split("\n") if line)
            return
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    text = decode(line.rstrip(b"\r\n"), f"{self.path}, line {number},")
                    if text:
                        yield text
        except OSError as trouble:
            raise _unreadable(self.path, trouble) from None


def read_bytes(path: Path) -> bytes:
    """The content of a file that the user named. UsageError if it cannot be read, or is a folder, pipe or device."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no ordinary file.", "Name a file.")
    try:
        return path.read_bytes()
    except OSError as trouble:
        raise _unreadable(path, trouble) from None


def read_text(path: Path) -> str:
    return decode(read_bytes(path), str(path))


def decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as trouble:
        message = f"{name} is not UTF-8 text: byte {trouble.start} is 0x{data[trouble.start]:02x}."
        raise UsageError(message, NOT_UTF8) from None


def given(word: str) -> str:
    """What a TEXT on the command line means: standard input for "-", else a file's content, else the word."""
    if word == "-":
        if sys.stdin is None:  # closed by whoever called us
            raise UsageError("There is no standard input.", "Give the text itself, or the name of a file.")
        return decode(sys.stdin.buffer.read(), "Standard input")
    if os.path.isfile(word):
        return read_text(Path(word))
    try:
        word.encode("utf-8")
    except UnicodeEncodeError as trouble:
        raise UsageError(f"The text is not UTF-8 (character {trouble.start}).", NOT_UTF8) from None
    return word


def documents(sources: list[Source], by_line: bool) -> Iterator[str]:
    """Every document: a source is one, or each of its lines."""
    for source in sources:
        if by_line:
            yield from source.lines()
        else:
            yield source.read()


def short(path: Path) -> str:
    """The path from here, where it lies below, safe to print."""
    here, path = Path.cwd(), path.absolute()
    return clean(str(path.relative_to(here)) if path.is_relative_to(here) else str(path))


def _unreadable(path: Path, trouble: OSError) -> UsageError:
    return UsageError(f"{path} cannot be read: {trouble.strerror}.", "Name a file that you may read.")
