"""Files with one JSON object per line, which are only ever appended to: the results log, the hints that were shown.

A line that cannot be read (the disk was full, somebody edited it) costs only itself and stays where it is.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cohort_cli.errors import EnvironmentTrouble


def append(path: Path, data: dict[str, Any]) -> None:
    """Add one object in a single write, so that two commands at once do not mix their lines."""
    line = json.dumps(data).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _torn(path):
            line = b"\n" + line  # an earlier write stopped in the middle; its line must not swallow this one
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            if os.write(file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # the disk took a part only
        finally:
            os.close(file)
    except OSError as trouble:
        raise EnvironmentTrouble(
            f"{path} cannot be written: {trouble.strerror or trouble}. What was printed is right, but not kept.",
            "Look at the folder's permissions and the free space of the disk, then run it again.",
        ) from None


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """Every object of a log, newest first. Lines that cannot be read are passed over."""
    for _, line in from_the_end(path):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def from_the_end(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number, line), last first. A last line without a line break was cut off: left out."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    for number in range(len(lines), 0, -1):
        if lines[number - 1].strip():
            yield number, lines[number - 1]


def _torn(path: Path) -> bool:
    """Does the file end in the middle of a line?"""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # no such file, or an empty one
        return False
