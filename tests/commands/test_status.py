"""`cohort status`: derived from the log and the files, each time anew."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli import __version__, catalog, progress
from cohort_cli.catalog import Project
from cohort_cli.checking import log
from cohort_cli.checking.results import CheckResult, RunReport
from cohort_cli.checking.states import State
from cohort_cli.progress import step_hashes
from cohort_cli.workspace import Workspace


def keep(
    space: Workspace, project: Project, kit: str = __version__, rule: str | None = None, **states: str
) -> None:
    """Log verdicts on the code as it is now."""
    now = step_hashes(space.project_folder(project), project)
    checks = [
        CheckResult(
            id, project.check(id).step, id, State(state), rule=rule, code_sha256=now[project.check(id).step]
        )
        for id, state in states.items()
    ]
    log.append(space.log_path, RunReport(kit, project.id, "", "", 0.1, 1, "none", {}, checks))


def lines(cohort: Cohort) -> list[str]:
    ended = cohort("status")
    assert (ended.code, ended.err) == (0, "")
    return ended.out.splitlines()


def test_each_step_has_its_counts(space: Workspace, adding: Project, cohort: Cohort) -> None:
    assert lines(cohort) == [
        "project9  Adding",
        "  plus   2 not checked",
        "  twice  1 not checked",
        "next: cohort check project9 plus",
    ]
    keep(space, adding, sum="ok", commutes="fail")
    assert lines(cohort)[1:] == [
        "  plus   1 ok, 1 fail",
        "  twice  1 not checked",
        "next: cohort check project9 plus",
    ]
    keep(space, adding, commutes="ok")
    assert lines(cohort)[1:] == [
        "  plus   2 ok",
        "  twice  1 not checked",
        "next: cohort check project9 twice",
    ]
    keep(space, adding, double="ok")
    assert lines(cohort)[-1] == "next: nothing is left to do; well done"


def test_a_changed_file_makes_its_step_stale_and_no_other(
    space: Workspace, adding: Project, cohort: Cohort
) -> None:
    keep(space, adding, sum="ok", commutes="ok", double="ok")
    twice = space.project_folder(adding) / "twice.py"
    old = twice.read_bytes()
    twice.write_bytes(old + b"# changed\n")
    assert lines(cohort)[1:3] == ["  plus   2 ok", "  twice  1 stale"]
    twice.write_bytes(old)
    assert lines(cohort)[1:3] == ["  plus   2 ok", "  twice  1 ok"]


def test_a_changed_helper_makes_every_step_stale_that_uses_it(
    space: Workspace, adding: Project, cohort: Cohort
) -> None:
    folder = space.project_folder(adding)
    (folder / "helper.py").write_text("ONE = 1\n", encoding="utf-8")
    (folder / "plus.py").write_text(
        "from helper import ONE\n\n\ndef add(a, b):\n    return a + b\n", encoding="utf-8"
    )
    keep(space, adding, sum="ok", commutes="ok", double="ok")
    assert lines(cohort)[1:3] == ["  plus   2 ok", "  twice  1 ok"]
    (folder / "helper.py").write_text("ONE = 2\n", encoding="utf-8")
    assert lines(cohort)[1:3] == ["  plus   2 stale", "  twice  1 stale"]


def test_a_deleted_file_makes_its_step_stale(space: Workspace, adding: Project, cohort: Cohort) -> None:
    keep(space, adding, sum="ok", commutes="ok", double="ok")
    (space.project_folder(adding) / "twice.py").unlink()
    assert lines(cohort)[1:3] == ["  plus   2 ok", "  twice  1 stale"]


def test_verdicts_of_another_kit_are_stale(space: Workspace, adding: Project, cohort: Cohort) -> None:
    keep(space, adding, kit="0.0.0", sum="ok")
    assert lines(cohort)[1] == "  plus   1 stale, 1 not checked"


def test_a_broken_rule_is_not_done(space: Workspace, adding: Project, cohort: Cohort) -> None:
    keep(space, adding, sum="ok", commutes="ok")
    keep(space, adding, rule="uses sum", sum="ok")
    assert lines(cohort)[1] == "  plus   2 ok, 1 broken rule"
    assert lines(cohort)[-1] == "next: cohort check project9 plus"


def test_damage_in_the_log_is_named_and_the_rest_counts(
    space: Workspace, adding: Project, cohort: Cohort
) -> None:
    keep(space, adding, sum="ok")
    with space.log_path.open("ab") as file:
        file.write(b"damaged\n")
    ended = cohort("status")
    assert ended.code == 0
    assert "results.jsonl:2 cannot be read" in ended.err
    assert "  plus   1 ok, 1 not checked\n" in ended.out


def test_json_is_one_object_and_nothing_else(space: Workspace, adding: Project, cohort: Cohort) -> None:
    keep(space, adding, sum="ok")
    ended = cohort("status", "--json")
    data = json.loads(ended.out)
    assert data["schema"] == "cohort.status/1"
    assert data["projects"]["project9"]["plus"]["checks"] == {"sum": "ok", "commutes": "not checked"}


def test_nothing_started_says_what_to_start(
    space: Workspace, adding: Project, cohort: Cohort, tmp_path: Path
) -> None:
    space.project_folder(adding).rename(tmp_path / "away")
    assert lines(cohort) == ["No project is started.", "next: cohort start project9"]
    assert json.loads(cohort("status", "--json").out)["projects"] == {}


def test_no_workspace(kit: Path, cohort: Cohort) -> None:
    ended = cohort("status")
    assert (ended.code, ended.out) == (3, "")


@pytest.mark.parametrize("runs", [300])
def test_a_long_log_stays_quick(space: Workspace, adding: Project, cohort: Cohort, runs: int) -> None:
    for _ in range(runs):
        keep(space, adding, sum="ok", commutes="ok", double="ok")
    start = time.process_time()
    lines(cohort)
    assert time.process_time() - start < 0.5, "it should read a few lines from the end, not all of them"


def test_who_skipped_the_warm_up_is_led_on_and_not_back() -> None:
    projects = catalog.projects()
    ids = [project.id for project in projects]

    def proposed(*started: str) -> list[str]:
        found = progress.to_start(projects, [project for project in projects if project.id in started])
        return [project.id for project in found]

    assert proposed() == ids
    assert proposed("project0") == ids[1:]
    assert proposed("project1") == [*ids[2:], "project0"]
    assert proposed("project0", "project2") == [*ids[3:], "project1"]
    assert proposed(*ids) == []
