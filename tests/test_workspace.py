"""Workspaces: made once, found from below, and nothing in them is ever overwritten."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cohort_cli import workspace
from cohort_cli.catalog import Project, kit_root
from cohort_cli.errors import BrokenManifest, EnvironmentTrouble, NoWorkspace, UsageError
from cohort_cli.planting import create, start, write_new
from cohort_cli.workspace import Workspace, find_workspace

FILES = {
    "cohort.toml", "README.md", ".gitignore", "AGENTS.md", ".editorconfig", ".vscode/settings.json",
    ".vscode/extensions.json",
}  # fmt: skip
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False).stdout


def everything(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_new_workspace_has_its_files(home: Path) -> None:
    created = create(home / "my-llm")
    assert set(created.new) == set(everything(home / "my-llm")) == FILES
    assert not created.kept


@needs_git
def test_it_is_a_repository_without_a_remote(home: Path) -> None:
    create(home / "my-llm")
    assert (home / "my-llm" / ".git").is_dir()
    assert git(home / "my-llm", "remote") == ""
    assert git(home / "my-llm", "symbolic-ref", "--short", "HEAD").strip() == "main"


@needs_git
def test_our_files_are_committed_when_git_knows_a_name(home: Path) -> None:
    (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n", encoding="utf-8")
    assert create(home / "my-llm").notes == []
    assert set(git(home / "my-llm", "ls-files").split()) == FILES
    assert git(home / "my-llm", "status", "--short") == ""


@needs_git
def test_nothing_is_committed_when_git_knows_no_name(home: Path) -> None:
    (note,) = create(home / "my-llm").notes
    assert "git config --global user.name" in note
    assert git(home / "my-llm", "log", "--oneline") == ""


@needs_git
def test_somebody_elses_staged_work_is_not_committed(home: Path) -> None:
    (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n", encoding="utf-8")
    folder = home / "my-llm"
    folder.mkdir()
    (folder / "diary.txt").write_text("mine", encoding="utf-8")
    create(folder)
    assert "diary.txt" not in git(folder, "ls-files")


@needs_git
def test_a_git_hooks_environment_does_not_lead_astray(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(home / "other")
    before = everything(home / "other" / ".git")
    monkeypatch.setenv("GIT_DIR", str(home / "other" / ".git"))
    create(home / "my-llm")
    assert (home / "my-llm" / ".git").is_dir()
    assert everything(home / "other" / ".git") == before


def test_without_git_there_is_a_workspace_and_a_note(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    created = create(home / "my-llm")
    assert set(created.new) == FILES
    assert created.notes[0].startswith("git was not found")
    assert find_workspace(home / "my-llm").root == home / "my-llm"


def test_what_exists_is_kept_and_named(home: Path) -> None:
    folder = home / "my-llm"
    folder.mkdir()
    (folder / "README.md").write_text("mine", encoding="utf-8")
    created = create(folder)
    assert created.kept == ["README.md"]
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"
    before = everything(folder)
    again = create(folder)
    assert (again.new, set(again.kept), everything(folder)) == ([], FILES, before)


def test_a_foreign_cohort_toml_is_kept_and_refused(home: Path) -> None:
    (home / "cohort.toml").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(BrokenManifest, match=r"cohort\.toml"):
        create(home)
    assert (home / "cohort.toml").read_text(encoding="utf-8") == "x = 1\n"


def test_work_never_lives_in_the_kit(kit: Path) -> None:
    for folder in (kit, kit / "my-llm", kit / "projects" / "x"):
        before = everything(kit)
        with pytest.raises(UsageError, match="inside the kit"):
            create(folder)
        assert everything(kit) == before


def test_work_never_lives_in_this_checkout(home: Path) -> None:
    with pytest.raises(UsageError, match="inside the kit"):
        create(kit_root() / "my-llm")
    assert not (kit_root() / "my-llm").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_link_into_the_kit_is_seen_through(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(kit, target_is_directory=True)
    with pytest.raises(UsageError, match="inside the kit"):
        create(tmp_path / "link" / "my-llm")


def test_a_file_is_no_place_for_a_workspace(home: Path) -> None:
    (home / "my-llm").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is a file"):
        create(home / "my-llm")
    assert (home / "my-llm").read_text(encoding="utf-8") == "mine"


def test_no_workspace_inside_another(space: Workspace) -> None:
    with pytest.raises(UsageError, match="is a workspace already"):
        create(space.root / "my-llm")
    assert not (space.root / "my-llm").exists()


def test_a_place_that_cannot_be_written_is_the_machines_trouble(home: Path) -> None:
    (home / "file").write_text("", encoding="utf-8")
    with pytest.raises(EnvironmentTrouble) as caught:
        create(home / "file" / "my-llm")
    assert str(home / "file" / "my-llm") in caught.value.message
    assert caught.value.repair


def test_the_workspace_is_found_from_below(space: Workspace, adding: Project) -> None:
    below = space.project_folder(adding) / "deep" / "er"
    below.mkdir(parents=True)
    assert find_workspace(below) == find_workspace() == space


def test_no_workspace_says_how_to_make_one(home: Path) -> None:
    with pytest.raises(NoWorkspace, match="no workspace here or above") as caught:
        find_workspace()
    assert "cohort init my-llm" in caught.value.repair


def test_a_variable_may_name_it(space: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("COHORT_WORKSPACE", str(space.root))
    assert find_workspace() == space
    monkeypatch.setenv("COHORT_WORKSPACE", str(home))
    with pytest.raises(NoWorkspace, match="COHORT_WORKSPACE"):
        find_workspace()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", 'schema = "cohort.workspace/1"'),
        ('schema = "cohort.workspace/9"\nkit = "9"\n', "cohort.workspace/9"),
        ('schema = "cohort.workspace/1"\nkitt = "1"\n', "cohort.toml:2: unknown key 'kitt'"),
        ("schema = \n", "not valid TOML"),
        ("\0", "not valid TOML"),
    ],
)
def test_a_broken_workspace_file_is_named(space: Workspace, text: str, says: str) -> None:
    (space.root / "cohort.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BrokenManifest) as caught:
        find_workspace()
    assert says in f"{caught.value.message} {caught.value.repair}"


def test_starting_copies_the_scaffold_once(space: Workspace, adding: Project) -> None:
    folder = space.project_folder(adding)
    assert everything(folder) == everything(adding.scaffold)
    (folder / "plus.py").write_text("mine", encoding="utf-8")
    (folder / "twice.py").unlink()
    copied = start(space, adding)
    assert (copied.new, copied.kept) == (["twice.py"], ["plus.py"])
    assert (folder / "plus.py").read_text(encoding="utf-8") == "mine"


def test_starting_copies_subfolders_and_leaves_caches(space: Workspace, adding: Project) -> None:
    for name in ("data/words.txt", "__pycache__/plus.pyc"):
        path = adding.scaffold / name
        path.parent.mkdir()
        path.write_text("x", encoding="utf-8")
    assert start(space, adding).new == ["data/words.txt"]


def test_a_kit_without_a_scaffold_says_so(space: Workspace, adding: Project) -> None:
    shutil.rmtree(adding.scaffold)
    with pytest.raises(BrokenManifest, match="scaffold"):
        start(space, adding)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as file:
            file.write(content[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EnvironmentTrouble, match="No space left"):
        write_new(tmp_path / "a.py", b"abc")
    assert list(tmp_path.iterdir()) == []


def test_who_comes_second_does_not_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("first", encoding="utf-8")
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # it appears after we looked
    assert write_new(tmp_path / "a.py", b"second") is False
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
    assert (tmp_path / "a.py").read_text(encoding="utf-8") == "first"


def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*names: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert write_new(tmp_path / "a.py", b"abc") is True
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]


def test_assistants_are_asked_to_tutor(home: Path) -> None:
    create(home / "my-llm")
    text = (home / "my-llm" / "AGENTS.md").read_text(encoding="utf-8")
    for words in ("tutor", "cohort hint", "cohort check", "Do not"):
        assert words in text


def test_the_state_folder_is_not_committed(home: Path) -> None:
    space = create(home / "my-llm").workspace
    ignored = (home / "my-llm" / ".gitignore").read_text(encoding="utf-8").split()
    assert f"{space.log_path.parent.name}/" in ignored
    assert workspace.MANIFEST not in ignored
