"""`cohort init` and `cohort start`, and `cohort` alone before and after them."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli.catalog import Project
from cohort_cli.workspace import Workspace


def test_from_nothing_to_a_first_project(kit: Path, home: Path, cohort: Cohort, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    assert cohort().out.splitlines()[-1].startswith("next: cohort init my-llm")
    ended = cohort("init", "my-llm")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "made my-llm: .editorconfig, .gitignore, .vscode/extensions.json,",
        "  .vscode/settings.json, AGENTS.md, README.md, cohort.toml",
        "next: cd my-llm && cohort start project9",
    ]
    monkeypatch.chdir(home / "my-llm")
    assert cohort().out.splitlines()[-1] == "next: cohort start project9"
    ended = cohort("start", "project9")
    assert ended.out.splitlines() == [
        "project9_adding: plus.py, twice.py",
        "next: cohort check project9 plus",
    ]
    ended = cohort()
    assert ended.out.splitlines() == [
        "Adding: the next step is 'Adding two numbers' (2 not checked).",
        "next: cohort check project9 plus",
    ]


def test_doing_it_twice_keeps_everything_and_says_so(
    space: Workspace, adding: Project, cohort: Cohort
) -> None:
    mine = space.project_folder(adding) / "plus.py"
    mine.write_text("mine", encoding="utf-8")
    ended = cohort("init", ".")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "kept as it was: .editorconfig, .gitignore, .vscode/extensions.json,",
        "  .vscode/settings.json, AGENTS.md, README.md, cohort.toml",
        "next: cohort start project9",
    ]
    ended = cohort("start", "9")
    assert ended.out.splitlines()[0] == "kept as they were: plus.py, twice.py"
    assert mine.read_text(encoding="utf-8") == "mine"


def test_the_editors_find_their_settings(space: Workspace, cohort: Cohort) -> None:
    settings = json.loads((space.root / ".vscode/settings.json").read_text(encoding="utf-8"))
    assert settings["editor.inlineSuggest.enabled"] is False  # nothing writes the exercise while one types
    assert settings["files.eol"] == "\n"
    wanted = json.loads((space.root / ".vscode/extensions.json").read_text(encoding="utf-8"))[
        "recommendations"
    ]
    assert {"ms-python.python", "ms-toolsai.jupyter", "charliermarsh.ruff"} <= set(wanted)
    for name in wanted:
        assert re.fullmatch(r"[a-z-]+\.[a-z-]+", name)
    rules = configparser.ConfigParser()
    rules.read_string("[top]\n" + (space.root / ".editorconfig").read_text(encoding="utf-8"))
    assert rules["*.py"]["indent_size"] == "4"
    mine = space.root / ".vscode/settings.json"
    mine.write_text("{}", encoding="utf-8")
    cohort("init", ".")
    assert mine.read_text(encoding="utf-8") == "{}"


def test_a_path_with_a_space_is_quoted(kit: Path, home: Path, cohort: Cohort) -> None:
    assert 'next: cd "my llm" && cohort start' in cohort("init", "my llm").out


def test_starting_needs_a_workspace(kit: Path, cohort: Cohort) -> None:
    ended = cohort("start", "project9")
    assert (ended.code, ended.out) == (3, "")
    assert "cohort init my-llm" in ended.err


def test_a_place_in_the_kit_is_refused(kit: Path, cohort: Cohort) -> None:
    ended = cohort("init", str(kit / "my-llm"))
    assert (ended.code, ended.out) == (2, "")
    assert "cohort init ~/my-llm" in ended.err


def test_a_wrong_variable_is_said_by_cohort_alone(
    kit: Path,
    home: Path,
    cohort: Cohort,
    monkeypatch,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setenv("COHORT_WORKSPACE", str(home))
    ended = cohort()
    assert ended.code == 3
    assert "COHORT_WORKSPACE" in ended.err


def test_an_empty_kit_says_so(space: Workspace, tmp_path: Path, cohort: Cohort, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("COHORT_KIT", str(tmp_path / "empty"))
    for words in ([], ["status"], ["start", "project9"], ["hint", "project9", "plus"]):
        ended = cohort(*words)
        assert ended.code == 3, words
        assert "no projects" in ended.err


@pytest.mark.parametrize("name", ["", "  "])
def test_a_folder_without_a_name_is_refused(kit: Path, home: Path, cohort: Cohort, name: str) -> None:
    """As a path it would mean the current folder."""
    ended = cohort("init", name)
    assert ended.code == 2
    assert "needs a name" in ended.err
    assert not Path(".git").exists()
