"""The real Project 2, and the reference's modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from cohort_cli.catalog import Project, find_project
from cohort_cli.checking.judge.diagnose import modules_from

collect_ignore = ["alternates"]


@pytest.fixture(scope="session")
def project() -> Project:
    return find_project("project2")


@pytest.fixture(scope="module")
def reference(project: Project) -> Iterator[Callable[[str], ModuleType]]:
    """`reference("own")` is the reference's own.py, imported."""
    sources = {path.stem: path.read_text(encoding="utf-8") for path in project.reference.glob("*.py")}
    with modules_from(sources) as load:
        yield load
