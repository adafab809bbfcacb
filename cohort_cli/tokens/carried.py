"""Texts that need no download: source code that every Python carries, and a German text of our own."""

from __future__ import annotations

import importlib.util
from importlib.resources import files
from pathlib import Path

from cohort_cli.errors import EnvironmentTrouble

# Modules of the standard library, each one file of Python: together about as long as the English text.
MODULES = ("argparse", "configparser", "csv", "dataclasses", "difflib", "fractions", "heapq", "random", "statistics",
           "textwrap")  # fmt: skip


def python_code() -> str:
    """The sources of MODULES, one after the other. A module that this Python keeps elsewhere is passed over."""
    sources = []
    for name in MODULES:
        spec = importlib.util.find_spec(name)
        path = Path(spec.origin) if spec and spec.origin else None
        if path is not None and path.suffix == ".py" and path.is_file():
            sources.append(path.read_text(encoding="utf-8"))
    if not sources:
        raise EnvironmentTrouble(
            "This Python has no sources of its own modules.", "Name a text: --corpus code=FILE"
        )
    return "\n".join(sources)


def german() -> str:
    """About 5,000 characters on what tokens are, written for this kit."""
    return files("cohort_cli.tokens").joinpath("data", "german.txt").read_text(encoding="utf-8")
