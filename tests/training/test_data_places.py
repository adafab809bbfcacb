"""Where data and runs are kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cohort_cli import planting
from cohort_cli.errors import NoWorkspace
from cohort_cli.training.places import data_home, runs_home


@pytest.fixture(autouse=True)
def nowhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No workspace, and no variable that names a place."""
    for name in ("COHORT_DATA", "COHORT_RUNS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(home / "AppData"))
    return home


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = planting.create(tmp_path / "my-llm").workspace.root
    (root / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(root / "deep" / "down")
    return root


def test_in_a_workspace_both_are_there(inside: Path) -> None:
    assert (data_home(), runs_home()) == (inside / "data", inside / "runs")
    assert not data_home().exists()


def test_git_leaves_them_alone(inside: Path) -> None:
    ignored = (inside / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/data/", "/runs/"} <= set(ignored)


def test_without_a_workspace_data_is_cached_and_runs_are_here(nowhere: Path) -> None:
    caches = {"win32": nowhere / "AppData", "darwin": nowhere / "Library" / "Caches"}
    assert data_home() == caches.get(sys.platform, nowhere / ".cache") / "cohort" / "data"
    assert runs_home() == nowhere / "runs"


@pytest.mark.parametrize(
    ("system", "place"), [("win32", "AppData"), ("darwin", "Library/Caches"), ("linux", ".cache")]
)
def test_each_system_has_its_own_cache(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, system: str, place: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert data_home() == nowhere / place / "cohort" / "data"


def test_linux_lets_the_user_choose_the_cache(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere / "mine"))
    assert data_home() == nowhere / "mine" / "cohort" / "data"


def test_variables_come_first(inside: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHORT_DATA", "~/tokens")
    monkeypatch.setenv("COHORT_RUNS", "there")
    assert (data_home(), runs_home()) == (nowhere / "tokens", inside / "deep" / "down" / "there")


def test_a_variable_that_is_empty_says_nothing(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHORT_DATA", "")
    assert data_home() == inside / "data"


def test_a_workspace_that_is_named_and_is_none_is_an_error(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHORT_WORKSPACE", str(nowhere))
    with pytest.raises(NoWorkspace):
        data_home()
