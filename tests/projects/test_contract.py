"""Scaffold, reference, checks and mistakes belong together, and say what a member needs to know."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cohort_cli.acceptance import CheckInfo
from cohort_cli.catalog import Project, projects
from cohort_cli.mistakes import Mistake

PROJECTS = projects()
FILES = [(project, path.name) for project in PROJECTS for path in sorted(project.scaffold.glob("*.py"))]
CHECKS = [(project, check) for project in PROJECTS for check in project.checks]
GIVEN = {  # complete in the scaffold
    "BlockConfig",
    "GPTConfig",
    "TrainConfig",
    "TrainResult",
    "GPTShape",
    "EvalResult",
    "JudgeResult",
}
LABS = {  # complete as well, in these projects only: the experiments around a member's functions
    "project0": {"draw_graph"},
    "project5": {
        *(
            "Switches",
            "TinyGPT",
            "TinyAttention",
            "ByteModel",
            "Policy",
            "main",
            "train",
            "train_copier",
            "train_on_text",
        ),
        *("imitate", "measure", "learn", "reward_model"),
    },
}
TO_BUILD = {"project4": {"GPTConfig"}}  # but not in these projects


def name(part: object) -> str:
    return part if isinstance(part, str) else part.id  # type: ignore[attr-defined]


def is_given(project: Project, name: str) -> bool:
    """Whether a part of the scaffold, or what it lies in, is there for the member to use."""
    first = name.partition(".")[0]
    if project.id in LABS and (first in LABS[project.id] or first.startswith("_")):
        return True
    return first in GIVEN - TO_BUILD.get(project.id, set())


def parts(path: Path) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """Functions, classes and public methods of a file, by dotted name."""
    found: dict[str, ast.FunctionDef | ast.ClassDef] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef):
                    found[f"{node.name}.{inner.name}"] = inner
    return found


@pytest.mark.parametrize("project", PROJECTS, ids=name)
def test_scaffold_and_reference_are_the_same_files(project: Project) -> None:
    files = sorted(path.name for path in project.scaffold.glob("*.py"))
    assert len(files) >= 5
    assert sorted(path.name for path in project.reference.glob("*.py")) == files
    assert {step.file for step in project.steps} == set(files)


@pytest.mark.parametrize(("project", "file"), FILES, ids=name)
def test_the_reference_has_the_scaffolds_signatures(project: Project, file: str) -> None:
    ours, theirs = parts(project.reference / file), parts(project.scaffold / file)
    assert theirs
    for name, node in theirs.items():
        assert name in ours
        if isinstance(node, ast.FunctionDef):
            other = ours[name]
            assert isinstance(other, ast.FunctionDef)
            assert ast.unparse(node.args) == ast.unparse(other.args)
            assert ast.unparse(node.returns or ast.Constant(0)) == ast.unparse(
                other.returns or ast.Constant(0)
            )


@pytest.mark.parametrize(("project", "file"), FILES, ids=name)
def test_what_is_to_be_built_says_so(project: Project, file: str) -> None:
    steps = {step.id for step in project.steps}
    for name, node in parts(project.scaffold / file).items():
        if is_given(project, name):
            continue
        if isinstance(node, ast.ClassDef) or "." not in name:
            assert len(ast.get_docstring(node) or "") > 50
        if isinstance(node, ast.FunctionDef):
            last = ast.unparse(node.body[-1])
            found = re.fullmatch(r"raise NotImplementedError\('(\w+): ([\w.]+)'\)", last)
            assert found is not None
            assert found[1] in steps
            assert found[2] == name


@pytest.mark.parametrize(("project", "file"), FILES, ids=name)
def test_what_is_given_is_complete(project: Project, file: str) -> None:
    ours, theirs = parts(project.reference / file), parts(project.scaffold / file)
    for name in [name for name in theirs if "." not in name and is_given(project, name)]:
        given, own = (ast.parse(ast.unparse(node)).body[0] for node in (theirs[name], ours[name]))
        for node in (given, own):
            assert isinstance(node, ast.ClassDef | ast.FunctionDef)
            node.body = node.body[ast.get_docstring(node) is not None :]  # the docstrings may differ
        assert ast.unparse(given) == ast.unparse(own)


@pytest.mark.parametrize(("project", "check"), CHECKS, ids=name)
def test_a_check_explains_itself(project: Project, check: CheckInfo) -> None:
    assert len(check.title) <= 80
    assert not check.title.endswith(".")
    assert 80 < len(check.doc) < 700
    assert len(check.needs) <= 3
    assert check.id in {mistake.check for mistake in project.mistakes()}
    assert "assert " not in check.source  # every claim goes through `expect`


@pytest.mark.parametrize("project", PROJECTS, ids=name)
def test_a_mistake_explains_itself(project: Project) -> None:
    mistakes: list[Mistake] = project.mistakes()
    assert len(mistakes) >= 60
    for mistake in mistakes:
        assert re.fullmatch(r"[a-z0-9_-]+", mistake.name)
        assert mistake.why.endswith(".")
        assert 18 < len(mistake.why) < 200


@pytest.mark.parametrize("project", PROJECTS, ids=name)
def test_no_two_mistakes_are_the_same_edit(project: Project) -> None:
    mistakes = project.mistakes()
    for check in project.checks:
        edits = [mistake.edits for mistake in mistakes if mistake.check == check.id]
        assert len(set(edits)) == len(edits)
