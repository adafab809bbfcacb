"""The promise: right answers pass however they are written, wrong ones fail under their own name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cohort_cli.catalog import Project, Step, find_project, projects
from cohort_cli.checking.client import Judge
from cohort_cli.checking.states import State
from cohort_cli.checking.verify import alternates, with_mistake

PROJECTS = projects()
SEED = 7  # by day the same numbers each time, so that a red run is about the change; by night others
# By day the reference and two other ways to write each project, by night all of them
ANSWERS = [
    pytest.param(project, work, marks=pytest.mark.slow if number > 2 else ())
    for project in PROJECTS
    for number, work in enumerate((project.reference, *alternates(project)))
]
STEPS = [(project, step) for project in PROJECTS for step in project.steps]


def name(part: object) -> str:
    return part.name if isinstance(part, Path) else part.id  # type: ignore[attr-defined]


@pytest.mark.parametrize("project", PROJECTS, ids=name)
def test_the_untouched_scaffold_is_neither_right_nor_wrong(project: Project, judge: Judge) -> None:
    states = {check.id: check.state for check in judge.check(project, project.scaffold).checks}
    assert len(states) == len(project.checks)
    assert set(states.values()) == {State.TODO, State.WAIT}


@pytest.mark.parametrize(("project", "work"), ANSWERS, ids=name)
def test_a_correct_answer_passes_every_check(project: Project, judge: Judge, work: Path) -> None:
    report = judge.check(
        project, work, seed=None if os.environ.get("HYPOTHESIS_PROFILE") == "night" else SEED
    )
    wrong = [check for check in report.checks if check.state is not State.OK or check.rule is not None]
    assert [(check.id, check.state, check.message, check.rule) for check in wrong] == []
    assert len(report.checks) == len(project.checks)
    assert ("torch" in report.env) is ("torch" in project.preload), (
        "no process imports torch where it is not needed"
    )


@pytest.mark.parametrize("project", PROJECTS, ids=name)
def test_there_are_alternates(project: Project) -> None:
    labs = project.id == "project5"  # six files that stand alone, so three ways of each are many
    assert len(alternates(project)) >= (3 if labs else 5)


@pytest.mark.parametrize(
    "all_of_them", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "all"]
)
@pytest.mark.parametrize(("project", "step"), STEPS, ids=name)
def test_every_mistake_is_refused_and_named(
    project: Project, judge: Judge, tmp_path: Path, step: Step, all_of_them: bool
) -> None:
    """Of each step every eighth mistake is tried at once, and all of them every night."""
    of_step = [mistake for mistake in project.mistakes() if mistake.step == step.id]
    mistakes = of_step if all_of_them else of_step[::8]
    assert mistakes
    found = {}
    for mistake in mistakes:
        work = with_mistake(project, mistake, tmp_path / mistake.name)
        seed = None if all_of_them else SEED
        (result,) = judge.check(project, work, select=[mistake.check], seed=seed).checks
        refused = result.state in (State.FAIL, State.ERROR)
        found[mistake.name] = result.mistake if refused else f"{result.state.value} {result.message}"
    assert found == {mistake.name: mistake.name for mistake in mistakes}


@pytest.mark.parametrize(
    ("id", "mistake", "seeds"),
    [
        ("project0", "generate-window-from-the-front", (7, 20)),
        ("project0", "neuron-never-tanh", (0, 2)),
        ("project4", "beam-adds-probabilities", (5, 20)),
    ],
)
def test_a_name_does_not_depend_on_the_numbers(
    judge: Judge, tmp_path: Path, id: str, mistake: str, seeds: tuple[int, ...]
) -> None:
    """With these seeds another mistake gave the same answer, so neither was named."""
    project = find_project(id)
    (known,) = [one for one in project.mistakes() if one.name == mistake]
    work = with_mistake(project, known, tmp_path / "work")
    for seed in seeds:
        (result,) = judge.check(project, work, select=[known.check], seed=seed).checks
        assert result.mistake == mistake
