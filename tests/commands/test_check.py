"""`cohort check`: what is run, shown, kept and returned. Most tests use a judge that answers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from support import REPO, Cohort, Ended

from cohort_cli import fingerprint
from cohort_cli.catalog import Project
from cohort_cli.checking import client
from cohort_cli.checking.results import CheckResult, RunReport, Where
from cohort_cli.checking.states import State
from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.workspace import Workspace

GOOD = "def add(a, b):\n    return a + b\n"


class QuickJudge:
    """Answers like `client.Judge`, from `answers`: check id -> state."""

    answers: dict[str, str] = {}  # noqa: RUF012
    asked: list[Any] = []  # noqa: RUF012
    during: Callable[[], None] | None = None  # what happens while it runs

    def __init__(self, *options: object) -> None:
        pass

    def __enter__(self) -> QuickJudge:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def start_for(self, project: Project, ids: Iterable[str]) -> None:
        pass

    def check(
        self,
        project: Project,
        work: Path,
        select: Iterable[str] | None = None,
        seed: int | None = None,
        on_result: Callable[[CheckResult], None] | None = None,
        already_ok: Iterable[str] = (),
    ) -> RunReport:
        type(self).asked.append((select, seed))
        if type(self).during is not None:
            type(self).during()
        words = [step.id for step in project.steps] if select is None else list(select)
        checks = []
        for info in (info for word in words for info in project.find(word)):
            result = CheckResult(info.id, info.step, info.title, State(self.answers.get(info.id, "ok")))
            result.where = Where("plus.py", 5, "add") if result.state is not State.OK else None
            result.code_sha256 = fingerprint.step_sha256(work, *project.files_of(info.step))
            checks.append(result)
            if on_result is not None:
                on_result(result)
        return RunReport("0.1.0", project.id, str(work), "abc", 0.1, seed or 7, "rlimits", {}, checks)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> type[QuickJudge]:
    QuickJudge.answers, QuickJudge.asked, QuickJudge.during = {}, [], None
    monkeypatch.setattr(client, "Judge", QuickJudge)
    return QuickJudge


def kept(space: Workspace) -> list[dict[str, Any]]:
    if not space.log_path.exists():
        return []
    return [json.loads(line) for line in space.log_path.read_text(encoding="utf-8").splitlines()]


def states(ended: Ended) -> dict[str, str]:
    return {check["id"]: check["state"] for check in json.loads(ended.out)["checks"]}


def test_everything_ok(space: Workspace, cohort: Cohort, judge: type[QuickJudge]) -> None:
    ended = cohort("check", "project9")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "ok   sum                           a and b are added",
        "ok   commutes                      the order does not matter",
        "ok   double                        twice is x + x",
        "",
        "project9: 3 ok  (0.1 s)",
        "seed 7, isolation rlimits",
        "next: cohort status",
    ]
    assert kept(space)[0]["summary"] == {"ok": 3}


@pytest.mark.parametrize(
    ("state", "code"), [("fail", 1), ("todo", 1), ("crash", 1), ("kit", 70), ("skip", 0)]
)
def test_exit_codes_follow_the_verdicts(
    space: Workspace, cohort: Cohort, judge: type[QuickJudge], state: str, code: int
) -> None:
    judge.answers = {"sum": state}
    assert cohort("check", "project9").code == code
    assert cohort("check", "project9", "--json").code == code


def test_nothing_but_skips_means_that_nothing_ran(
    space: Workspace, cohort: Cohort, judge: type[QuickJudge]
) -> None:
    judge.answers = {"sum": "skip"}
    assert cohort("check", "project9", "sum").code == 5


def test_steps_and_checks_select(space: Workspace, cohort: Cohort, judge: type[QuickJudge]) -> None:
    cohort("check", "project9", "plus", "double", "--seed", "3")
    assert judge.asked == [(["plus", "double"], 3)]
    assert set(states(cohort("check", "project9", "commutes", "--json"))) == {"commutes"}


def test_json_is_one_object_and_nothing_else(
    space: Workspace, cohort: Cohort, judge: type[QuickJudge]
) -> None:
    judge.answers = {"sum": "fail"}
    ended = cohort("check", "project9", "--json")
    assert ended.err == ""
    data = json.loads(ended.out)
    assert (data["schema"], data["exit"], data["summary"]) == ("cohort.check/1", 1, {"ok": 2, "fail": 1})
    assert len(kept(space)) == 1, "it is logged like any other run"


def test_failed_repeats_what_does_not_stand_as_ok(
    space: Workspace, adding: Project, cohort: Cohort, judge: type[QuickJudge]
) -> None:
    judge.answers = {"commutes": "fail"}
    cohort("check", "project9", "plus")
    assert set(states(cohort("check", "project9", "--failed", "--json"))) == {"commutes", "double"}
    assert set(states(cohort("check", "project9", "plus", "--failed", "--json"))) == {"commutes"}
    judge.answers = {}
    cohort("check", "project9")
    ended = cohort("check", "project9", "--failed")
    assert (ended.code, ended.out) == (5, "")
    assert "Nothing to repeat" in ended.err
    path = space.project_folder(adding) / "twice.py"
    path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert set(states(cohort("check", "project9", "--failed", "--json"))) == {"double"}


def test_another_folder_is_checked_but_not_logged(
    space: Workspace, adding: Project, cohort: Cohort, judge: type[QuickJudge]
) -> None:
    assert cohort("check", "project9", "--work", str(adding.reference)).code == 0
    assert kept(space) == []
    cohort("check", "project9", "--work", adding.folder.name)
    assert len(kept(space)) == 1, "the workspace's own folder, named in another way"


def test_no_workspace_is_needed_for_another_folder(
    adding: Project, cohort: Cohort, judge: type[QuickJudge]
) -> None:
    assert cohort("check", "project9", "--work", str(adding.reference)).code == 0
    ended = cohort("check", "project9", "--work", str(adding.reference), "--failed")
    assert (ended.code, "--failed" in ended.err) == (2, True)


def test_without_a_workspace_or_a_project_in_it(
    kit: Path, space: Workspace, adding: Project, cohort: Cohort, judge: type[QuickJudge], tmp_path: Path
) -> None:
    space.project_folder(adding).rename(tmp_path / "away")
    ended = cohort("check", "project9")
    assert (ended.code, ended.out, ended.err.splitlines()[1]) == (3, "", "  cohort start project9")
    os.chdir(tmp_path / "away")
    ended = cohort("check", "project9")
    assert (ended.code, ended.out) == (3, "")
    assert "cohort init" in ended.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--work", "nowhere"], "There is no folder nowhere"),
        (["--work", "cohort.toml"], "There is no folder cohort.toml"),
        (["--watch", "--json"], "do not go together"),
        (["summ"], "Did you mean sum"),
    ],
)
def test_what_is_asked_wrongly(
    space: Workspace, cohort: Cohort, judge: type[QuickJudge], words: list[str], says: str
) -> None:
    ended = cohort("check", "project9", *words)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert judge.asked == []


def test_a_file_saved_meanwhile_makes_its_verdicts_stale(
    space: Workspace, adding: Project, cohort: Cohort, judge: type[QuickJudge]
) -> None:
    path = space.project_folder(adding) / "plus.py"

    def save() -> None:
        path.write_text(GOOD, encoding="utf-8")

    judge.during = save
    ended = cohort("check", "project9", "plus")
    assert "saved while it was checked" in ended.err
    assert [check["code_sha256"] for check in kept(space)[0]["checks"]] == ["", ""]
    assert "2 stale" in cohort("status").out
    cohort("check", "project9", "plus")
    assert "2 ok" in cohort("status").out


def test_a_log_that_cannot_be_written_does_not_hide_the_verdicts(
    space: Workspace, cohort: Cohort, judge: type[QuickJudge]
) -> None:
    space.state_folder.write_text("a file in the way", encoding="utf-8")
    ended = cohort("check", "project9")
    assert ended.code == 4
    assert "project9: 3 ok" in ended.out
    assert "not kept" in ended.err
    assert json.loads(cohort("check", "project9", "--json").out)["summary"] == {"ok": 3}


def test_a_judge_that_does_not_start_is_the_machines_trouble(
    space: Workspace, cohort: Cohort, judge: type[QuickJudge]
) -> None:
    def fail() -> None:
        raise EnvironmentTrouble("The judge could not start:\nno torch", "cohort doctor")

    judge.during = fail
    ended = cohort("check", "project9")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.endswith("  cohort doctor\n")
    assert kept(space) == []


def test_progress_is_for_terminals_only(
    space: Workspace, cohort: Cohort, judge: type[QuickJudge], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cohort("check", "project9").err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "2 of 3: commutes" in cohort("check", "project9").err
    monkeypatch.setenv("TERM", "dumb")
    assert cohort("check", "project9").err == ""


# --- with the real judge ------------------------------------------------------------------------------


def test_a_member_from_todo_to_ok(space: Workspace, adding: Project, cohort_process: Cohort) -> None:
    """The whole way in real processes: nothing written, a known mistake, a right answer, and what status says."""
    folder = space.project_folder(adding)
    ended = cohort_process("check", "project9")
    assert ended.code == 1
    assert ended.out.splitlines()[0].split() == ["todo", "sum", "plus.py:6", "add"]
    assert ended.out.splitlines()[1].split() == ["wait", "commutes", "needs", "sum", "(todo)"]
    assert ended.err == ""
    (folder / "plus.py").write_text(GOOD.replace("+", "-"), encoding="utf-8")
    (folder / "twice.py").write_text(
        (adding.reference / "twice.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    ended = cohort_process("check", "project9", "--json")
    data = json.loads(ended.out)
    assert (ended.code, ended.err, data["exit"]) == (1, "", 1)
    assert data["checks"][0]["mistake"] == "subtracts"
    (folder / "plus.py").write_text(GOOD, encoding="utf-8")
    assert cohort_process("check", "project9").code == 0
    assert [run["summary"] for run in kept(space)] == [
        {"todo": 1, "wait": 2},
        {"fail": 1, "wait": 2},
        {"ok": 3},
    ]
    assert "2 ok" in cohort_process("status").out


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("no_colour", [False, True])
def test_on_a_terminal(space: Workspace, adding: Project, no_colour: bool) -> None:
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    if no_colour:
        environment["NO_COLOR"] = "1"
    command = [sys.executable, "-m", "cohort_cli", "check", "project9", "--work", str(adding.reference)]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # Linux says so when the other side has closed
                break
            if not part:
                break
            shown += part
    os.close(master)
    assert process.returncode == 0
    text = shown.decode()
    assert "\r1 of 3: sum" in text, "progress on a terminal"
    assert ("\x1b[38;2;0;114;178mok " in text) is not no_colour
    assert "next: cohort status" in text
