"""Small trials of one choice each. A trial gets a lab and texts, and gives a table and a figure."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.manifest import did_you_mean
from cohort_cli.tokens.experiments.lab import Lab
from cohort_cli.tokens.experiments.result import Result

NAMES = ("vocab-size", "domains", "ties", "words", "algorithms")


class Experiment(NamedTuple):
    run: Callable[[Lab, dict[str, str]], Result]
    corpora: tuple[str, ...]  # the texts that it uses when the user names none


def find(name: str) -> Experiment:
    if name not in NAMES:
        raise UsageError(f"There is no experiment {name!r}.", did_you_mean(name, list(NAMES)))
    module = importlib.import_module(f"cohort_cli.tokens.experiments.{name.replace('-', '_')}")
    return Experiment(module.run, module.CORPORA)
