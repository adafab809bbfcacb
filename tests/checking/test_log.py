"""The results log: the newest verdict wins, and damage costs no more than the damaged line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cohort_cli import __version__
from cohort_cli.checking import log
from cohort_cli.checking.results import CheckResult, RunReport, Where
from cohort_cli.checking.states import State
from cohort_cli.errors import EnvironmentTrouble


def run(project: str = "project9", kit: str = __version__, **states: str) -> RunReport:
    checks = [
        CheckResult(id, "plus", f"title of {id}", State(state), where=Where("plus.py", 3), code_sha256="abc")
        for id, state in states.items()
    ]
    return RunReport(kit, project, "/work", "0" * 64, 0.5, 1, "rlimits", {"os": "x"}, checks)


def states(path: Path, *ids: str) -> dict[str, str]:
    return {id: result.state.value for id, result in log.newest(path, "project9", ids).items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".cohort" / "results.jsonl"


def test_a_verdict_comes_back(path: Path) -> None:
    report = run(sum="fail", commutes="ok")
    report.checks[1].rule = "uses torch's own"
    log.append(path, report)
    assert log.newest(path, "project9", ["sum", "commutes"]) == {
        "sum": log.Verdict("sum", State.FAIL, None, "abc"),
        "commutes": log.Verdict("commutes", State.OK, "uses torch's own", "abc"),
    }


def test_the_newest_verdict_of_each_check_counts(path: Path) -> None:
    log.append(path, run(sum="fail", commutes="wait"))
    log.append(path, run(sum="ok"))
    log.append(path, run("project8", sum="crash"))
    assert states(path, "sum", "commutes", "never") == {"sum": "ok", "commutes": "wait"}


def test_no_log_means_no_verdicts(path: Path) -> None:
    assert states(path, "sum") == {}
    path.parent.mkdir()
    path.write_bytes(b"")
    assert states(path, "sum") == {}


def test_verdicts_of_another_kit_are_not_trusted(path: Path) -> None:
    log.append(path, run(kit="0.0.1", sum="ok"))
    assert log.newest(path, "project9", ["sum"])["sum"].code_sha256 == ""


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_line_that_was_cut_off_costs_only_itself(path: Path, cut: int) -> None:
    log.append(path, run(sum="ok"))
    whole = path.read_bytes()
    log.append(path, run(sum="fail"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert states(path, "sum") == {"sum": "ok"}
    log.append(path, run(commutes="ok"))
    assert states(path, "commutes") == {"commutes": "ok"}
    assert path.read_bytes().startswith(whole)
    assert states(path, "sum") == {"sum": "fail" if cut == 1 else "ok"}


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'"text"',
        b'{"log": "cohort.results/9", "project": "project9", "checks": []}',
        b'{"log": "cohort.results/1", "project": "project9", "checks": [{"id": "sum"}]}',
        b'{"log": "cohort.results/1", "project": "project9", "checks": 3}',
        b'{"log": "cohort.results/1"}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_a_damaged_line_is_named_and_passed_over(path: Path, line: bytes) -> None:
    log.append(path, run(sum="ok"))
    with path.open("ab") as file:
        file.write(line + b"\n")
    log.append(path, run(commutes="ok"))
    before = path.read_bytes()
    told: list[str] = []
    assert set(log.newest(path, "project9", ["sum", "commutes"], told.append)) == {"sum", "commutes"}
    assert len(told) == 1
    assert f"{path}:2 cannot be read" in told[0]
    assert path.read_bytes() == before


def test_reading_stops_when_everything_is_known(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"damaged\n" * 3)
    log.append(path, run(sum="ok"))
    told: list[str] = []
    log.newest(path, "project9", ["sum"], told.append)
    assert told == []


def test_a_log_that_cannot_be_written_is_the_machines_trouble(tmp_path: Path) -> None:
    (tmp_path / ".cohort").write_text("a file, not a folder", encoding="utf-8")
    with pytest.raises(EnvironmentTrouble, match="not kept") as caught:
        log.append(tmp_path / ".cohort" / "results.jsonl", run(sum="ok"))
    assert caught.value.repair


def test_a_disk_that_takes_a_part_only_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(path, run(sum="ok"))
    whole_write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: whole_write(file, line[:50]))
    with pytest.raises(EnvironmentTrouble, match="No space left"):
        log.append(path, run(sum="fail"))
    monkeypatch.undo()
    assert states(path, "sum") == {"sum": "ok"}


def test_a_value_that_is_not_finite_is_still_json(path: Path) -> None:
    report = run(sum="fail")
    report.checks[0].max_abs_err = float("inf")
    log.append(path, report)
    json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda word: pytest.fail(word))
    assert states(path, "sum") == {"sum": "fail"}
