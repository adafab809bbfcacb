"""The real Project 5, and the reference's modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import torch

from cohort_cli.catalog import Project, find_project
from cohort_cli.checking.judge.diagnose import modules_from

collect_ignore = ["alternates"]


@pytest.fixture(scope="session")
def project() -> Project:
    return find_project("project5")


@pytest.fixture(scope="module")
def reference(project: Project) -> Iterator[Callable[[str], ModuleType]]:
    """`reference("rlhf")` is the reference's own rlhf.py, imported."""
    sources = {path.stem: path.read_text(encoding="utf-8") for path in project.reference.glob("*.py")}
    with modules_from(sources) as load:
        yield load


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors on a busy machine: several threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
