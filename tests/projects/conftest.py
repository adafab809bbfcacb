"""A judge for the real projects; and in the folder of a project, that project and its reference's modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import torch

from cohort_cli.catalog import Project, find_project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.judge.diagnose import modules_from

collect_ignore_glob = ["*/alternates"]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


@pytest.fixture(scope="module")
def project(request: pytest.FixtureRequest) -> Project:
    """The project that the test's folder is named after."""
    return find_project(request.path.parent.name)


@pytest.fixture(scope="module")
def reference(project: Project) -> Iterator[Callable[[str], ModuleType]]:
    """`reference("gpt")` is the reference's own gpt.py, imported."""
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
