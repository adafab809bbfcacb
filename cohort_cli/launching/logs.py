"""The lines of a file that something else is writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

LOOK_SECONDS = 0.3


def follow_file(path: Path, more: Callable[[], bool]) -> Iterator[str]:
    """Its lines, without their ends; new ones too, as long as `more()` says that somebody writes."""
    rest, at = b"", 0
    while True:
        writing = more()  # asked before reading: what is written until the end is read
        if path.is_file():
            with path.open("rb") as file:
                file.seek(at)
                data = file.read()
            at += len(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", errors="replace").rstrip("\r")
        if not writing:
            if rest:
                yield rest.decode("utf-8", errors="replace")
            return
        time.sleep(LOOK_SECONDS)
