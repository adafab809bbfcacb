"""The tiny kit: a project of two files, so that tests of the checker are quick to run and to read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cohort_cli.catalog import Project, read_project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.sandbox import Limits

KIT = Path(__file__).parent / "kit"
collect_ignore = ["kit"]  # its acceptance tests are the judge's to run


@pytest.fixture(scope="session")
def tiny() -> Project:
    return read_project(KIT / "projects" / "project9_tiny")


@pytest.fixture(scope="session", params=["best", "rlimits", "worker"])
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    """One judge for all tests, for each way in which players can run."""
    isolation = None if request.param == "best" else request.param
    with Judge(isolation, Limits(cpu_seconds=2.0, memory_mib=512)) as judge:
        yield judge


@pytest.fixture
def work(tiny: Project, tmp_path: Path) -> Path:
    """A copy of the reference that a test may spoil."""
    folder = tmp_path / "work"
    shutil.copytree(tiny.reference, folder)
    return folder
