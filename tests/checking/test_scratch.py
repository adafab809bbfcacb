"""A player's folder is measured and removed, whatever the player has put there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cohort_cli.checking.judge.scratch import MAX_FILES, measure, remove

# In a process of its own: a current folder with a path too long to say would trouble other tests.
DIG = """
import os, sys
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
open("file", "w").close()
if sys.argv[1] == "True":
    os.chmod("../../../d", 0)
"""


def test_bytes_files_and_folders_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 32)
    assert measure(tmp_path) == (42, 4)


def test_counting_stops_when_there_are_too_many(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 5):
        (tmp_path / str(number)).touch()
    assert measure(tmp_path)[1] == MAX_FILES + 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs paths longer than Windows allows")
@pytest.mark.parametrize("closed", [False, True])
def test_folders_deeper_than_a_path_can_say_are_removed(tmp_path: Path, closed: bool) -> None:
    """3000 folders below one another: beyond Python's recursion limit, and beyond PATH_MAX."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    subprocess.run([sys.executable, "-c", DIG, str(closed)], cwd=scratch, check=True)
    assert measure(scratch)[1] == MAX_FILES + 1
    remove(scratch)
    assert not scratch.exists()


def test_a_link_is_removed_and_not_what_it_points_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("x")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "link").symlink_to(kept)
    (scratch / "folder").symlink_to(tmp_path, target_is_directory=True)
    assert measure(scratch)[1] == 2
    remove(scratch)
    assert kept.exists()
    assert not scratch.exists()


def test_nothing_happens_when_it_is_gone_already(tmp_path: Path) -> None:
    remove(tmp_path / "gone")
    assert measure(tmp_path / "gone") == (0, 0)
