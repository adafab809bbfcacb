"""Kills at random moments, as the benchmark deals them: every run must end exactly where an uninterrupted one does."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from support import REPO


def trials(*options: str) -> str:
    done = subprocess.run(
        [sys.executable, str(REPO / "benchmarks" / "kill_trials.py"), *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kills(table: str, name: str) -> int:
    """How many kills this row of the table counts; all of its runs must have come out equal."""
    line = next(line for line in table.splitlines() if line.startswith(name))
    runs, count, *_ = map(int, re.findall(r"\d+", line.removeprefix(name)))
    assert line.endswith(f"{runs} of {runs}")
    return count


@pytest.mark.slow  # by day tests/launching/test_here.py has a kill of its own
def test_a_few_kills_change_no_bit() -> None:
    table = trials("--quick")
    assert kills(table, "one process") >= 3
    assert kills(table, "two, under torchrun") >= 1


@pytest.mark.slow
def test_many_kills_change_no_bit() -> None:
    table = trials("--kills", "100", "--torchrun-kills", "20", "--seed", "2")
    assert kills(table, "one process") >= 100
    assert kills(table, "two, under torchrun") >= 20
