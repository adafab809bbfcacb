"""Results as data: every state has one exit code, and JSON keeps everything."""

from __future__ import annotations

import json

import pytest

from cohort_cli.checking.results import CheckResult, RunReport, Where, exit_code, to_dict
from cohort_cli.checking.states import State


def check(state: str, rule: str | None = None) -> CheckResult:
    return CheckResult("scale", "attention", "scores are divided", State(state), rule=rule)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["ok"], 0),
        (["ok", "skip"], 0),
        (["ok", "fail"], 1),
        (["ok", "error"], 1),
        (["ok", "time"], 1),
        (["ok", "mem"], 1),
        (["ok", "crash"], 1),
        (["ok", "todo"], 1),
        (["ok", "wait"], 1),
        (["fail", "kit"], 70),
        (["skip"], 5),
        ([], 5),
    ],
)
def test_exit_codes(states: list[str], code: int) -> None:
    assert exit_code([check(state) for state in states]) == code


def test_a_broken_rule_is_not_ok() -> None:
    assert exit_code([check("ok", rule="uses F.softmax")]) == 1


def test_json_gives_back_every_field() -> None:
    result = CheckResult(
        "scale", "attention", "scores are divided", State.FAIL, 0.25, ["shape"], "shape", Where("attention.py", 38, "f"),
        "[1.0]", "[2.0]", 1.0, 1e-8, [0, 1], ["batch", "key"], "scaled", "message", "rule", "printed", "abc",
    )  # fmt: skip
    assert CheckResult.from_json(json.loads(json.dumps(to_dict(result)))) == result


@pytest.mark.parametrize(
    "change", [{"state": "done"}, {"colour": "green"}, {"where": {"file": "a", "row": 1}}]
)
def test_unknown_words_are_refused(change: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        CheckResult.from_json({**to_dict(check("ok")), **change})


def test_a_report_has_the_promised_keys() -> None:
    report = RunReport(
        "0.1", "project2", "/w", "abc", 0.6123, 7, "rlimits", {}, [check("ok"), check("fail"), check("ok")]
    )
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["schema"] == "cohort.check/1"
    assert data["summary"] == {"ok": 2, "fail": 1}
    assert (data["exit"], data["seconds"], data["seed"]) == (1, 0.612, 7)
    promised = {"id", "step", "title", "state", "seconds", "needs", "blocked_by", "where", "expected", "got"}
    assert promised | {"max_abs_err", "atol", "first_diff", "mistake", "message"} <= set(data["checks"][0])
