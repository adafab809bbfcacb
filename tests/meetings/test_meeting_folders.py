"""One reader for all files of a meeting: it refuses what it does not know, and says where."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from support import REPO

from cohort_cli import app
from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.meeting_lint import commands, problems
from cohort_cli.meetings import Meeting, find_meeting, meetings, read_page

ALL = meetings()
PROGRAM: Any = typer.main.get_command(app.build())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The kit's meeting 2 in a kit of its own, to be spoilt."""
    shutil.copytree(REPO / "meetings", tmp_path / "meetings")
    shutil.copytree(REPO / "projects", tmp_path / "projects", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def spoil(root: Path, file: str, find: str, replace: str) -> Meeting:
    path = root / "meetings" / "2_attention" / file
    text = path.read_text(encoding="utf-8")
    assert find in text
    path.write_text(text.replace(find, replace, 1), encoding="utf-8")
    return find_meeting("2", root)


@pytest.mark.parametrize("meeting", ALL, ids=lambda meeting: meeting.name)
def test_nothing_is_wrong(meeting: Meeting) -> None:
    assert problems(meeting, PROGRAM) == []


@pytest.mark.parametrize("word", ["2", "m2", "2_attention"])
def test_a_meeting_has_three_names(word: str) -> None:
    assert find_meeting(word).guide.title == "Attention"


def test_an_unknown_meeting_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="There is no meeting '9'") as trouble:
        find_meeting("9")
    assert "2" in trouble.value.repair


@pytest.mark.parametrize(
    ("file", "find", "replace", "says"),
    [
        ("guide.md", "question =", "quesiton =", "unknown key 'quesiton'"),
        ("guide.md", "core = 720", 'core = "long"', "'core' in [minutes] must be a whole number"),
        ("guide.md", "number = 2", "number = 3", "number is 3, but the folder is called 2_attention"),
        ("guide.md", "cohort.meeting/1", "cohort.meeting/9", 'must be "cohort.meeting/1"'),
        ("guide.md", "+++", "---", "there is no head"),
        ("prompts.md", "silence =", "quiet =", "unknown key 'quiet' in [[prompt]]"),
        ("prompts.md", "kind =", "knid =", "unknown key 'knid' in [[prompt]]"),
        ("facilitator.md", "minutes = 8", "minutes = 8.5", "must be a whole number"),
    ],
)
def test_a_wrong_head_is_named(copy: Path, file: str, find: str, replace: str, says: str) -> None:
    def read() -> None:
        meeting = spoil(copy, file, find, replace)
        meeting.prompts()
        meeting.blocks()

    with pytest.raises(BrokenManifest) as trouble:
        read()
    assert says in trouble.value.message
    assert file in trouble.value.message


@pytest.mark.parametrize(
    ("file", "find", "replace", "says"),
    [
        ("facilitator.md", "minutes = 22", "minutes = 23", "add up to 121 minutes, not 120"),
        ("prompts.md", 'kind = "prediction"', 'kind = "guess"', "prompt 1 has the kind 'guess'"),
        ("prompts.md", 'format = "pods"', 'format = "crowd"', "has the format 'crowd'"),
        ("prompts.md", "minutes = 8", "minutes = 80", "prompt 1 takes 80 minutes"),
        ("prompts.md", 'silence = "Take', 'silence = ""\n# "Take', "prompt 1 has an empty silence"),
        (
            "prompts.md",
            "cohort lab 2 scores",
            "cohort labb 2 scores",
            "cohort labb 2 scores: there is no such verb",
        ),
        ("prompts.md", "cohort lab 2 scores", "cohort lab 2 scores --fast", "there is no option --fast"),
        ("prompts.md", "cohort lab 2 scores", "cohort lab 2 scors", "this lab has no section 'scors'"),
        ("guide.md", "## Predict", "## Guess", "guide.md has no section 'Predict'"),
        ("guide.md", "project2 scale", "project2 scael", "project2 has no check 'scael'"),
        ("guide.md", "(lab.py)", "(labs.py)", "the link labs.py leads nowhere"),
        ("guide.md", "guide.md#three-tokens-by-hand", "guide.md#nowhere", "#nowhere leads nowhere"),
        (
            "guide.md",
            "https://arxiv.org/abs/1706.03762",
            "https://arxiv.org/abs/1",
            "https://arxiv.org/abs/1 is not in links.toml",
        ),
        ("facilitator.md", "## When the demo fails", "## Otherwise", "has no section 'When the demo fails'"),
    ],
)
def test_each_mistake_in_the_pages_is_named(
    copy: Path, file: str, find: str, replace: str, says: str
) -> None:
    found = problems(spoil(copy, file, find, replace), PROGRAM)
    assert any(says in problem for problem in found), found
    assert all(problem.startswith("2_attention/") for problem in found)


def test_a_link_that_nobody_dated_is_none(copy: Path) -> None:
    links = copy / "meetings/links.toml"
    address = "https://arxiv.org/abs/1706.03762"
    text = links.read_text(encoding="utf-8")
    links.write_text(text.replace(f'"{address}" = 2026-11-15', f'"{address}" = "never"'), encoding="utf-8")
    assert any(address in problem for problem in problems(find_meeting("2", copy), PROGRAM))


def test_a_missing_file_is_named_and_the_rest_is_still_looked_at(copy: Path) -> None:
    (copy / "meetings/2_attention/slides.md").unlink()
    assert problems(find_meeting("2", copy), PROGRAM) == ["2_attention/slides.md is missing"]


def test_commands_are_those_of_prompts_and_pages() -> None:
    found = commands(find_meeting("2"))
    assert "cohort lab 2 scores" in found
    assert "cohort check project2 attention mask heads fused" in found
    assert len(found) == len(set(found))


def test_the_line_where_the_body_begins_is_the_files(copy: Path) -> None:
    path = copy / "meetings/2_attention/guide.md"
    page = read_page(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[page.first_line - 1] == page.body.splitlines()[0] == "## What you can do afterwards"
