"""The other way round: an honest answer on a busy machine is never taken for a hostile one.

Eight loops that never rest hold every core while the reference is checked. CPU time decides, not the clock on the wall,
so a check that waits long for a core must still be `ok`.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from cohort_cli.catalog import find_project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.states import State

LOOPS = 8
# Each ends by itself after ten minutes, whatever becomes of this test.
LOOP = "import time\nend = time.monotonic() + 600\nwhile time.monotonic() < end: pass"


@pytest.fixture
def busy_machine() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(LOOPS)]
    try:
        yield
        assert [loop.poll() for loop in loops] == [None] * LOOPS, "the machine was busy to the end"
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.slow
def test_no_honest_check_fails_on_a_busy_machine(busy_machine: None) -> None:
    """About 240 verdicts."""
    project = find_project("project2")
    states: Counter[State] = Counter()
    with Judge() as judge:
        for _ in range(3):
            states.update(check.state for check in judge.check(project, project.reference).checks)
    assert states == {State.OK: 3 * len(project.checks)}
