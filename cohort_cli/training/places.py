"""Where prepared data, runs and the game's experiments are kept.

    data   $COHORT_DATA, else the workspace's data/, else a folder in the user's cache
    runs   $COHORT_RUNS, else the workspace's runs/, else runs/ in the current folder
    breaks the workspace's .cohort/breaks/, else a folder in the user's cache

None of the functions makes the folder. This file imports no torch.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cohort_cli.errors import NoWorkspace
from cohort_cli.workspace import find_workspace


def data_home() -> Path:
    """Prepared token folders are kept here: they are large, can be made again, and serve several runs."""
    return _named("COHORT_DATA") or _in_workspace("data") or _cache() / "cohort" / "data"


def runs_home() -> Path:
    """Each run has a folder of its own here."""
    return _named("COHORT_RUNS") or _in_workspace("runs") or Path.cwd() / "runs"


def breaks_home() -> Path:
    """What `cohort break` has trained: small files that can be made again."""
    return _in_workspace(".cohort/breaks") or _cache() / "cohort" / "breaks"


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


def _in_workspace(name: str) -> Path | None:
    try:
        return find_workspace().root / name
    except NoWorkspace:
        if os.environ.get("COHORT_WORKSPACE"):  # it was named, and is none: say so
            raise
        return None


def _cache() -> Path:
    """The user's folder for what can be made again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
