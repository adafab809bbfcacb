"""`cohort hint`: one rung at a time, and the file remembers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Cohort

from cohort_cli.catalog import Project
from cohort_cli.commands.hint import read_rungs
from cohort_cli.errors import BrokenManifest
from cohort_cli.workspace import Workspace


def rungs(cohort: Cohort, *words: str) -> list[str]:
    ended = cohort("hint", "project9", *words)
    assert ended.code == 0
    return [line.partition(": ")[2] for line in ended.out.splitlines() if ": rung " in line]


def test_one_rung_at_a_time(space: Workspace, cohort: Cohort) -> None:
    found = [rungs(cohort, "plus") for _ in range(4)]
    assert found == [["rung 1 of 3"], ["rung 2 of 3"], ["rung 3 of 3"], ["rung 3 of 3"]]


def test_each_step_has_its_own_ladder(space: Workspace, cohort: Cohort) -> None:
    assert rungs(cohort, "plus") == rungs(cohort, "twice") == ["rung 1 of 3"]


def test_a_check_leads_to_its_steps_ladder(space: Workspace, cohort: Cohort) -> None:
    assert rungs(cohort, "commutes") == ["rung 1 of 3"]
    assert rungs(cohort, "plus") == ["rung 2 of 3"]


def test_again_repeats_and_does_not_count(space: Workspace, cohort: Cohort) -> None:
    assert rungs(cohort, "plus", "--again") == ["rung 1 of 3"], "the first is shown even if none was"
    assert rungs(cohort, "plus") == ["rung 2 of 3"]
    assert rungs(cohort, "plus", "--again") == ["rung 1 of 3", "rung 2 of 3"]
    assert rungs(cohort, "plus") == ["rung 3 of 3"]


def test_the_next_line_offers_more_until_there_is_no_more(space: Workspace, cohort: Cohort) -> None:
    last = [cohort("hint", "project9", "plus").out.splitlines()[-1] for _ in range(3)]
    more = "next: cohort check project9 plus      (more: cohort hint project9 plus)"
    assert last == [more, more, "next: cohort check project9 plus"]


def test_without_a_workspace_the_first_rung_is_shown(kit: Path, cohort: Cohort) -> None:
    for _ in range(2):
        ended = cohort("hint", "project9", "plus")
        assert ended.code == 0
        assert "rung 1 of 3" in ended.out
        assert "no workspace here" in ended.err


def test_a_damaged_memory_costs_a_repeated_rung_at_most(space: Workspace, cohort: Cohort) -> None:
    rungs(cohort, "plus")
    with space.hints_path.open("ab") as file:
        file.write(b'damaged\n[1]\n{"project": "project9", "step": "plus", "rung": "many"}\n{"cut')
    assert rungs(cohort, "plus") == ["rung 2 of 3"]
    assert rungs(cohort, "plus") == ["rung 3 of 3"]


def test_prose_is_wrapped_and_code_is_not(
    space: Workspace, adding: Project, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "    " + "x = 1; " * 12
    text = f"# H\n\n## Rung 1\n\n{'word ' * 40}\n- {'item ' * 20}\n\n```\n{'y = 2; ' * 12}\n```\n\n{code}\n"
    (adding.hints_dir / "plus.md").write_text(text, encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "60")
    shown = cohort("hint", "project9", "plus").out.splitlines()
    assert code.rstrip() in shown
    assert ("y = 2; " * 12).rstrip() in shown
    assert all(len(line) <= 60 for line in shown if line.startswith(("word", "- ", "  item")))
    assert [line for line in shown if line.startswith("  item")], (
        "the second line of an item hangs below its first"
    )


@pytest.mark.parametrize("text", ["", "# Hints\n", "# Hints\n\n### Rung 1\n"])
def test_a_ladder_without_rungs_is_the_kits_fault(
    space: Workspace, adding: Project, cohort: Cohort, text: str
) -> None:
    path = adding.hints_dir / "plus.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BrokenManifest):
        read_rungs(path)
    path.unlink()
    ended = cohort("hint", "project9", "plus")
    assert (ended.code, ended.out) == (3, "")
    assert "plus.md is missing" in ended.err
