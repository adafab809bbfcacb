"""What every experiment works with: a tokenizer's code in a process of its own, and texts cut in two."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.tokens.client import Code, Coder, Token
from cohort_cli.tokens.formats import Parts

HELD_OUT_SHARE = 0.1
LEAST = 1000  # characters; with less there is little to learn and less to measure
EXTRA = 'pip install "cohort-kit[experiments]"'


def require(module: str) -> None:
    """Raises EnvironmentTrouble if a library of the extra is missing. Nothing is imported."""
    if importlib.util.find_spec(module) is None:
        raise EnvironmentTrouble(f"Experiments need {module}, which is not installed.", EXTRA)


class Lab:
    """Trains and encodes with one folder's code. `tell` hears what is being done."""

    def __init__(self, code: Code, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self._coder = Coder(code)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *error: object) -> None:
        self._coder.close()

    def train(self, texts: Iterable[str], vocab_size: int, **options: Any) -> Parts:
        """Learn, without special tokens; what is encoded next is encoded with this."""
        self._coder.train(texts, vocab_size, special_tokens=[], **options)
        return self._coder.parts

    def use(self, parts: Parts) -> None:
        """What is encoded next is encoded with these merges."""
        self._coder.open_parts(parts)

    def encode(self, text: str) -> list[Token]:
        return self._coder.encode(text)

    def bytes_per_token(self, text: str) -> float:
        return len(text.encode("utf-8")) / len(self._coder.encode(text))


def split(name: str, text: str) -> tuple[str, str]:
    """(to learn from, held out): the last tenth is held out. UsageError for a text that is too short."""
    if len(text) < LEAST:
        raise UsageError(
            f"The corpus {name} has {len(text):,} characters; at least {LEAST:,} are needed.",
            "Name a longer text.",
        )
    end = int(len(text) * (1 - HELD_OUT_SHARE))
    return text[:end], text[end:]
