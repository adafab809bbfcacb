"""The places by name. A place's module is imported when it is the one that was named.

place = find("slurm")          raises UsageError with names that are close
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.launching.place import Place
from cohort_cli.manifest import did_you_mean


def _lazily(module: str, name: str) -> Callable[[], Place]:
    def make() -> Place:
        try:
            found = importlib.import_module(f"cohort_cli.launching.{module}")
        except ModuleNotFoundError as error:
            raise EnvironmentTrouble(
                f"--on {module} needs {error.name}, which is not installed.", f"pip install {error.name}"
            ) from None
        return cast("Place", getattr(found, name)())

    return make


PLACES: dict[str, Callable[[], Place]] = {
    "here": _lazily("here", "Here"),
    "slurm": _lazily("slurm", "Slurm"),
    "sky": _lazily("sky", "Sky"),
    "hf": _lazily("hf", "Hf"),
    "notebook": _lazily("notebook", "Notebook"),
}


def find(name: str) -> Place:
    if name not in PLACES:
        raise UsageError(f"There is no place {name!r} to train on.", did_you_mean(name, list(PLACES)))
    return PLACES[name]()
