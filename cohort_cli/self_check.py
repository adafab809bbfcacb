"""The eight questions of the self-check: read from the warm-up's self_check.toml, and marked. Nothing is recorded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from cohort_cli.catalog import kit_root
from cohort_cli.errors import BrokenManifest
from cohort_cli.manifest import build, load_toml, require_schema

SCHEMA = "cohort.self-check/1"
FILE = "projects/project0_warmup/self_check.toml"
NUMBER = re.compile(r"[-+]?\d+(\.0*)?")


class Question(NamedTuple):
    """One question with its answers, and one thing to read for who does not know it."""

    id: str
    topic: str
    ask: str
    right: tuple[str, ...]
    because: str
    learn: str
    at: str  # where `learn` is
    code: str = ""

    def is_right(self, answer: str) -> bool:
        """Whether it is one of the right answers, written in whatever way: "[1,9]", "1 9", "6.0"."""
        return _plain(answer) in map(_plain, self.right)


def read_questions(root: Path | None = None) -> list[Question]:
    """The questions, in their order. Raises BrokenManifest."""
    path = (root or kit_root()) / FILE
    table = load_toml(path)
    require_schema(table, SCHEMA, path)
    if set(table) != {"schema", "question"} or not isinstance(table["question"], list):
        raise BrokenManifest(f"{path}: write schema and [[question]], nothing else.")
    return [build(Question, entry, path, "[[question]]") for entry in table["question"]]


def _plain(answer: str) -> str:
    """Without brackets, commas, capitals and more than single blanks; 6.0 and +6 are 6."""
    text = answer.casefold().replace("\u2212", "-").replace("\u00d7", " x ").replace("*", " x ")
    words = re.sub(r"[\[\](){},;]", " ", re.sub(r"(?<=\d)x(?=\d)", " x ", text)).split()
    return " ".join(str(int(float(word))) if NUMBER.fullmatch(word) else word.rstrip(".") for word in words)
