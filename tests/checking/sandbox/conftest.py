"""What the tests of the sandbox share: a small fork server, started once, and rooms to run scripts in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox_cell import LANDLOCK, RLIMITS, Cell, make_cell


@pytest.fixture(scope="session")
def forge() -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "COHORT_TEST_TOKEN": "a token in the environment", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, str(Path(__file__).with_name("forge.py"))]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.sep, env=environment
    )
    yield process
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=30) == 0


@pytest.fixture(params=[LANDLOCK, RLIMITS])
def cell(request: pytest.FixtureRequest, tmp_path: Path, forge: subprocess.Popen[str]) -> Cell:
    return make_cell(request.param, tmp_path, forge)


@pytest.fixture(params=[LANDLOCK])
def locked(request: pytest.FixtureRequest, tmp_path: Path, forge: subprocess.Popen[str]) -> Cell:
    return make_cell(request.param, tmp_path, forge)


@pytest.fixture
def make_room(forge: subprocess.Popen[str]) -> Callable[[str, Path], Cell]:
    return lambda level, root: make_cell(level, root, forge)
