"""Remembers what was read from a text, so that `cohort status` does not parse the same files every time.

The key is a hash of the text, of what was asked about it, and of the kit's version: an old answer is never wrong, it is
only no longer asked for. A memo that is damaged or cannot be written costs time, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cohort_cli import __version__


class Memo:
    """Answers as JSON values, kept in a file between two commands, or for one command only (no path)."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.known = _read(path) if path is not None else {}
        self.used: dict[str, Any] = {}

    def get(self, question: str, text: bytes, answer: Callable[[], Any]) -> Any:
        """What `answer` gives for this text; it is called only if nobody has asked before."""
        key = hashlib.sha256(f"{__version__} {question}\n".encode() + text).hexdigest()
        if key not in self.used:
            self.used[key] = self.known[key] if key in self.known else answer()
        return self.used[key]

    def save(self) -> None:
        """Keep the answers that were used this time."""
        if self.path is None or self.used.keys() == self.known.keys():
            return
        body = json.dumps(self.used).encode()
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            os.replace(partial, self.path)
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    """The answers in a file whose first line is the hash of the rest; none if it is not whole."""
    try:
        seal, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return {}
    if hashlib.sha256(body).hexdigest().encode() != seal:
        return {}
    known: dict[str, Any] = json.loads(body)
    return known
