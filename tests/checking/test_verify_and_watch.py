"""The authors' verification finds what is wrong; the watcher repeats only what it must."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cohort_cli.catalog import Project, read_project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.verify import verify
from cohort_cli.checking.watch import Watcher, saves


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


@pytest.fixture
def spoiled(tiny: Project, tmp_path: Path) -> Path:
    """A copy of the tiny project that a test may spoil."""
    folder = tmp_path / tiny.folder.name
    shutil.copytree(tiny.folder, folder)
    return folder


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_the_tiny_project_keeps_the_promise(judge: Judge, tiny: Project) -> None:
    lines: list[str] = []
    found = verify(tiny, judge, lines.append)
    assert found.problems == []
    assert (found.mistakes, found.refused, found.named) == (4, 4, 4)
    assert found.unguarded == ["normalise", "count", "multiplies", "dtype"]
    assert "scaffold            4 todo · 4 wait" in lines


def test_verification_finds_every_kind_of_trouble(judge: Judge, spoiled: Path) -> None:
    append(spoiled / "scaffold" / "sums.py", "\n\ndef count(n):\n    return range(n)\n")
    (spoiled / "hints" / "gain.md").write_text("## Rung 1\n\nThink.\n")
    append(
        spoiled / "mistakes" / "sums.toml",
        '\n[[mistake]]\nname = "harmless"\nfile = "sums.py"\ncheck = "total"\nwhy = "It is right."\n'
        'find = "return x.sum(dim)"\nreplace = "return torch.sum(x, dim)"\n',
    )
    (spoiled / "reference" / "gain.py").write_text("class Gain:\n    pass\n")
    found = verify(read_project(spoiled), judge)
    text = "\n".join(found.problems)
    assert "scaffold: count is ok" in text
    assert "hints/gain.md lacks rung 2, 3" in text
    assert "mistake harmless: its check total is ok" in text
    assert "reference: multiplies is error" in text


def test_the_watcher_repeats_only_what_changed(judge: Judge, tiny: Project, work: Path) -> None:
    watcher = Watcher(judge, tiny, work, None, seed=1)
    first = watcher.check()
    assert first is not None
    assert first.summary == {"ok": 8}
    assert watcher.check() is None
    append(work / "gain.py", "\n# a remark\n")
    again = watcher.check()
    assert again is not None
    assert {check.step for check in again.checks} == {"gain"}


def test_the_watcher_follows_a_helper_file(judge: Judge, tiny: Project, work: Path) -> None:
    (work / "helper.py").write_text("def double(x):\n    return 2 * x\n")
    append(work / "sums.py", "\nfrom helper import double\n")
    watcher = Watcher(judge, tiny, work, ["sums"], seed=1)
    watcher.check()
    append(work / "helper.py", "\nraise ValueError('broken helper')\n")
    again = watcher.check()
    assert again is not None
    assert "error" in again.summary


def test_a_check_that_waited_runs_when_its_root_is_repaired(judge: Judge, tiny: Project, work: Path) -> None:
    right = (work / "sums.py").read_text()
    (work / "sums.py").write_text(right.replace("return x.sum(dim)", "return x.sum(-1)"))
    watcher = Watcher(judge, tiny, work, None, seed=1)
    first = watcher.check()
    assert first is not None
    assert first.summary["wait"] == 4
    (work / "sums.py").write_text(right)
    again = watcher.check()
    assert again is not None
    assert again.summary == {"ok": 8}


def test_a_save_while_a_check_runs_is_not_lost(tmp_path: Path) -> None:
    stop = threading.Event()
    changes = saves(tmp_path, stop)
    (tmp_path / "attention.py").write_text("x = 1\n")
    threading.Timer(20, stop.set).start()
    assert next(changes, "nothing") is None
    stop.set()


def test_saving_a_file_is_noticed_and_other_files_are_not(tmp_path: Path) -> None:
    stop = threading.Event()
    changes = saves(tmp_path, stop)
    (tmp_path / "attention.py").write_text("")

    def save() -> None:
        (tmp_path / "notes.txt").write_text("not code")
        (tmp_path / "attention.py").write_text("x = 1\n")

    timer = threading.Timer(0.5, save)
    timer.start()
    assert next(changes) is None
    stop.set()
