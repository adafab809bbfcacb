"""A step may forbid a library that the project's other steps have: its code then runs where nobody imported it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cohort_cli.catalog import Project, read_project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.states import State


@pytest.fixture(scope="module")
def halves() -> Project:
    return read_project(Path(__file__).parent / "kit" / "projects" / "project8_bare")


def test_each_step_gets_the_libraries_that_it_may_use(judge: Judge, halves: Project) -> None:
    report = judge.check(halves, halves.reference)
    assert {check.id: check.message for check in report.checks if check.state is not State.OK} == {}
    assert len(report.checks) == 3
    assert "torch" in report.env


def test_where_no_step_needs_the_library_the_judge_does_not_import_it_either(halves: Project) -> None:
    with Judge() as judge:
        assert "torch" not in judge.check(halves, halves.reference, ["plain"]).env
        first = judge.pid
        assert (
            "torch" in judge.check(halves, halves.reference, ["full"]).env
        )  # it needs one of the step `plain`
        second = judge.pid
        assert first != second
        assert judge.check(halves, halves.reference, ["plain"]).summary == {"ok": 2}
        assert judge.pid == second  # which also keeps bare players, so it need not start again


def test_importing_it_is_refused_by_name(judge: Judge, halves: Project, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(halves.reference, work)
    for file in ("plain.py", "full.py"):
        (work / file).write_text("import torch\n" + (work / file).read_text())
    found = {check.id: check for check in judge.check(halves, work).checks}
    assert found["adds"].state is State.ERROR
    assert "torch may not be used here" in found["adds"].message
    assert found["with-torch"].state is State.WAIT
    (work / "plain.py").write_bytes((halves.reference / "plain.py").read_bytes())
    assert judge.check(halves, work).summary == {"ok": 3}
