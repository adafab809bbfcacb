"""The text that entries are measured on: the embedded corpus's held-out part, or a file that the organiser names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.training import corpus

EMBEDDED = "embedded"
LEAST, MOST = (
    4_000,
    1024 * 1024,
)  # bytes of a file: a shorter one says little, and every token of it is scored


class Text(NamedTuple):
    name: str  # "embedded", or the name of the file
    text: str

    @property
    def bytes(self) -> int:
        return len(self.text.encode())

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def facts(self) -> dict[str, str | int]:
        return {"name": self.name, "bytes": self.bytes, "sha256": self.sha256}


def held_out(file: Path | None = None) -> Text:
    """Raises UsageError for a file that is none, is no UTF-8, or has a length that makes no sense."""
    if file is None:
        return Text(EMBEDDED, corpus.split(corpus.load())[1])
    try:
        if not LEAST <= file.stat().st_size <= MOST:
            raise UsageError(
                f"{file} has {file.stat().st_size:,} bytes; a held-out text has {LEAST:,} to {MOST:,}.",
                "Name another file, or a part of this one.",
            )
        text = file.read_bytes().decode("utf-8")
    except OSError as trouble:
        raise UsageError(f"{file} cannot be read: {trouble.strerror}.", "Name a text file.") from None
    except UnicodeDecodeError as trouble:
        raise UsageError(f"{file} is not UTF-8 text (byte {trouble.start}).", "Save it as UTF-8.") from None
    return Text(re.sub(r"[^A-Za-z0-9_.-]", "_", file.name)[:100], text)
