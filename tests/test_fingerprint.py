"""A verdict counts for exactly the code that was checked: which files belong to a step, and what changes its hash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cohort_cli.fingerprint import code_sha256, files_of, step_sha256

FILES = {
    "block.py": "from attention import heads\nimport layers\n",
    "attention.py": "import torch\nfrom .helpers import softmax\n",
    "helpers/__init__.py": "from . import numbers as n\nfrom .softmax import softmax\n",
    "helpers/numbers.py": "import math\n",
    "helpers/softmax.py": "def softmax(x): ...\n",
    "layers.py": "def norm(x):\n    import late\n",
    "late.py": "x = 1\n",
    "positions.py": "import torch\n",
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "work"


def names(work: Path, file: str) -> list[str]:
    return [path.relative_to(work).as_posix() for path in files_of(work, file)]


def test_a_step_has_its_file_and_all_that_it_imports(work: Path) -> None:
    assert names(work, "block.py") == sorted(set(FILES) - {"positions.py"})
    assert names(work, "positions.py") == ["positions.py"]
    assert names(work, "layers.py") == ["late.py", "layers.py"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_change_of_a_file_changes_the_steps_that_use_it_and_no_other(work: Path, name: str) -> None:
    before = {file: step_sha256(work, file) for file in ("block.py", "attention.py", "positions.py")}
    users = {file for file in before if name in names(work, file)}
    everything = code_sha256(work)
    (work / name).write_text(FILES[name] + "y = 2\n", encoding="utf-8")
    assert {file for file in before if step_sha256(work, file) != before[file]} == users
    assert code_sha256(work) != everything


def test_a_new_helper_that_shadows_a_module_counts(work: Path) -> None:
    before = step_sha256(work, "positions.py")
    (work / "torch.py").write_text("cheat = True\n", encoding="utf-8")
    assert step_sha256(work, "positions.py") != before


def test_several_files_are_one_hash(work: Path) -> None:
    before = step_sha256(work, "positions.py", "layers.py")
    (work / "late.py").write_text("x = 3\n", encoding="utf-8")
    assert step_sha256(work, "positions.py", "layers.py") != before


def test_line_endings_do_not_matter(work: Path) -> None:
    before = code_sha256(work), step_sha256(work, "block.py")
    for name, text in FILES.items():
        (work / name).write_bytes(text.replace("\n", "\r\n").encode())
    assert (code_sha256(work), step_sha256(work, "block.py")) == before


@pytest.mark.parametrize("name", [".hidden.py", "__pycache__/x.py", ".venv/lib/y.py", "notes.txt"])
def test_what_is_not_the_members_code_does_not_count(work: Path, name: str) -> None:
    before = code_sha256(work), step_sha256(work, "block.py")
    (work / name).parent.mkdir(exist_ok=True, parents=True)
    (work / name).write_text("z = 1\n", encoding="utf-8")
    assert (code_sha256(work), step_sha256(work, "block.py")) == before


@pytest.mark.parametrize(
    "line",
    [
        "import importlib",
        "from importlib import import_module",
        "m = __import__('late')",
        "exec('import late')",
        "eval('1')",
        "open('weights.json')",
        "import runpy",
        "from builtins import open as o",
        "torch.load('weights.pt')",
        "Path('weights.json').read_text()",
        "import sys; sys.path.append('elsewhere')",
        "from sys import path",
        "def broken(:",
    ],
)
def test_code_that_reaches_further_depends_on_every_file(work: Path, line: str) -> None:
    (work / "positions.py").write_text(f"import torch\n{line}\n", encoding="utf-8")
    (work / "weights.json").write_text("1", encoding="utf-8")
    before = step_sha256(work, "positions.py")
    (work / "weights.json").write_text("2", encoding="utf-8")
    assert step_sha256(work, "positions.py") != before


def test_a_models_eval_is_not_the_builtin(work: Path) -> None:
    (work / "positions.py").write_text("model.eval()\ntorch.compile(model)\n", encoding="utf-8")
    assert names(work, "positions.py") == ["positions.py"]


def test_imports_that_leave_the_folder_are_left_alone(work: Path) -> None:
    (work.parent / "outside.py").write_text("x = 1\n", encoding="utf-8")
    (work / "positions.py").write_text("from .. import outside\nfrom ... import x\n", encoding="utf-8")
    assert names(work, "positions.py") == ["positions.py"]


def test_a_circle_of_imports_ends(work: Path) -> None:
    (work / "late.py").write_text("import layers\n", encoding="utf-8")
    assert names(work, "late.py") == ["late.py", "layers.py"]


def test_a_missing_file_or_folder_has_a_hash_too(work: Path) -> None:
    assert (
        step_sha256(work, "nothing.py")
        == step_sha256(work / "nowhere", "nothing.py")
        != step_sha256(work, "block.py")
    )


def test_contents_cannot_move_between_files(tmp_path: Path) -> None:
    for folder, texts in {"a": ("xy", "z"), "b": ("x", "yz")}.items():
        (tmp_path / folder).mkdir()
        for name, text in zip(("1.py", "2.py"), texts, strict=True):
            (tmp_path / folder / name).write_text(text, encoding="utf-8")
    assert code_sha256(tmp_path / "a") != code_sha256(tmp_path / "b")


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_linked_folders_are_not_followed(work: Path) -> None:
    before = code_sha256(work)
    (work / "loop").symlink_to(work, target_is_directory=True)
    assert code_sha256(work) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes by name are POSIX")
def test_what_is_not_a_plain_file_is_not_read(work: Path) -> None:
    """A pipe would never end, a device neither."""
    os.mkfifo(work / "pipe.py")
    (work / "zero.py").symlink_to("/dev/zero")
    (work / "self.py").symlink_to("self.py")
    assert len(code_sha256(work)) == 64
