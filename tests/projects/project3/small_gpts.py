"""Project 2's model, for Project 3's functions to train and to measure."""

from __future__ import annotations

from types import ModuleType

from cohort_cli.catalog import find_project
from cohort_cli.checking.judge.diagnose import modules_from


def project2_model() -> ModuleType:
    """model.py of Project 2's reference, imported."""
    folder = find_project("project2").reference
    with modules_from({path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}) as load:
        return load("model")
