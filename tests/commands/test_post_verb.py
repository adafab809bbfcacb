"""`cohort post`: texts filled from the calendar and from the newest verdict; no code and no path in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import Cohort

from cohort_cli import __version__, group_file, posts
from cohort_cli.catalog import Project
from cohort_cli.checking import log
from cohort_cli.checking.results import CheckResult, RunReport, Where
from cohort_cli.checking.states import State
from cohort_cli.group import Group
from cohort_cli.workspace import Workspace


def keep(space: Workspace, id: str, state: str, **values: Any) -> None:
    check = CheckResult(id, "plus", id, State(state), code_sha256="x", **values)
    log.append(
        space.log_path, RunReport(__version__, "project9", "/home/ada/x", "", 0.1, 1, "none", {}, [check])
    )


def test_an_announcement(group: Group, cohort: Cohort) -> None:
    group_file.change(group, {3: {"presenter": "ada", "minutes": 90}})
    ended = cohort("post", "announcement")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(
        "First Tuesdays, meeting 3: LLM architecture and catch-up\n"
        "Tuesday 2027-03-02, 19:00 to 20:30 (Europe/Berlin), in 6 days\n"
        "Library, room 2\nhttps://meet.example.org/x\n\n"
        "ada presents; "
    )
    assert ended.out.count(";") == 4
    assert ended.out.endswith("If you cannot come, please say so here.\n")


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (
            "2027-03-02T20:00+01:00",
            "Meeting 3 (LLM architecture and catch-up) is today: Tuesday 2027-03-02 at 19:00",
        ),
        ("2027-03-01T23:59+01:00", "is tomorrow:"),
        ("2027-03-01T23:30+00:00", "is today:"),  # it is the 2nd in Berlin by then
        ("2027-03-03T00:00+01:00", "Meeting 4 (Pre-training) is in 34 days: Tuesday 2027-04-06"),
    ],
)
def test_a_nudge(group: Group, cohort: Cohort, monkeypatch: pytest.MonkeyPatch, now: str, says: str) -> None:
    monkeypatch.setenv("COHORT_NOW", now)
    ended = cohort("post", "nudge")
    assert says in ended.out
    assert "presents." in ended.out


def test_a_cancelled_meeting_is_not_announced(group: Group, cohort: Cohort) -> None:
    group_file.change(group, {3: {"cancelled": True}, 4: {"place": "Elsewhere"}})
    out = cohort("post", "announcement").out
    assert "meeting 4: Pre-training" in out
    assert "\nElsewhere\n" in out
    assert "Library" not in out


def test_after_the_last_there_is_nothing_to_post(
    group: Group, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHORT_NOW", "2028-01-01T00:00+00:00")
    ended = cohort("post", "nudge")
    assert (ended.code, ended.out) == (5, "")


def test_stuck(space: Workspace, adding: Project, cohort: Cohort) -> None:
    keep(space, "sum", "fail", expected="an older one", got="6")
    where = Where("/home/ada/my-llm/project9_adding/plus.py", 3)
    keep(
        space,
        "sum",
        "fail",
        expected="5",
        got="[[1,\n [2]]",
        mistake="subtracts",
        where=where,
        output="secret",
    )
    keep(space, "commutes", "ok")
    ended = cohort("post", "stuck", "9", "sum")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "I am stuck at project9, sum: a and b are added\n\n"
        "command   cohort check project9 sum\n"
        "verdict   fail\n"
        "expected  5\n"
        "got       [[1,\n"
        "           [2]]\n"
        "mistake   subtracts (the kit knows it by this name)\n\n"
        "What I have tried: \n"
    )


def test_an_error_is_told_by_its_first_line(space: Workspace, cohort: Cohort) -> None:
    keep(space, "sum", "error", message="OSError: no file '/home/ada/my-llm/data.txt'\n  return a + b\n")
    out = cohort("post", "stuck", "project9", "sum").out
    assert "message   OSError: no file '(a path)'\n" in out
    assert "ada" not in out
    assert "return" not in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["project9", "sum"], 5, "has never been checked here.\n  Run it first: cohort check project9 sum"),
        (["project9", "commutes"], 5, "The newest verdict on commutes is ok."),
        (["project9", "summ"], 2, "Did you mean sum"),
        (["project8", "sum"], 2, "There is no project 'project8'"),
    ],
)
def test_what_there_is_nothing_to_ask_about(
    space: Workspace, cohort: Cohort, words: list[str], code: int, says: str
) -> None:
    keep(space, "commutes", "fail", expected="1")
    keep(space, "commutes", "ok")
    ended = cohort("post", "stuck", *words)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err


def test_damage_in_the_log_is_passed_over(space: Workspace, cohort: Cohort) -> None:
    keep(space, "sum", "fail", expected="5", got="6")
    with space.log_path.open("ab") as file:
        file.write(
            b'nonsense\n{"log": "cohort.results/1", "project": "project9", "checks": [3, {"id": "sum"}]}\n'
        )
        file.write(b'{"log": "cohort.results/1", "project": "project9", "checks": null}\n')
    assert "got       6" in cohort("post", "stuck", "9", "sum").out


def test_values_cannot_steer_a_terminal(space: Workspace, cohort: Cohort) -> None:
    keep(space, "sum", "fail", expected="5", got="\x1b[2J")
    assert "got       \\x1b[2J" in cohort("post", "stuck", "9", "sum").out


@pytest.mark.parametrize(
    "path",
    ["/home/ada/my-llm/plus.py", "~/my-llm/plus.py", r"C:\Users\ada\plus.py", "C:/Users/ada/x/", r"\\server\share\ada",
     "/tmp/ada"],
)  # fmt: skip
def test_paths_are_left_out(path: str) -> None:
    for text in (
        path,
        f"'{path}'",
        f"open({path!r}) failed".replace("\\\\", "\\"),
        f"in {path}: no",
        f"a={path}",
    ):
        check = {"id": "sum", "state": "fail", "expected": text}
        post = posts.stuck("project9", "title", check)
        assert "ada" not in post, post
        assert "(a path)" in post


@pytest.mark.parametrize(
    "text",
    ["1/2", "[0.5, 1/3]", "a / b / c", "https://example.org/a/b", "\\n\\n", "5 // 2", r"b'\xf0\x9f\x98'"],
)
def test_what_only_looks_like_a_path_stays(text: str) -> None:
    assert text in posts.stuck("project9", "title", {"id": "sum", "state": "fail", "expected": text})


def test_what_is_very_long_is_cut(tmp_path: Path) -> None:
    post = posts.stuck(
        "project9", "title", {"id": "sum", "state": "fail", "expected": "1 " * 5000, "got": "2"}
    )
    assert len(post) < 1000
    assert "…\ngot       2" in post
