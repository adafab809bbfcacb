"""What a member sees: the promised shape, at any width, with and without colour, whatever the code printed."""

from __future__ import annotations

import io
import re
import sys

import pytest

from cohort_cli.checking import report as draw
from cohort_cli.checking.results import CheckResult, RunReport, Where
from cohort_cli.checking.states import State

SCALE = CheckResult(
    "scale",
    "attention",
    "scores are divided by sqrt(head_dim)",
    State.FAIL,
    where=Where("attention.py", 38, "CausalSelfAttention.forward"),
    expected="[[1.0000, 0.0000], [0.3775, 0.6225]]",
    got="[[1.0000, 0.0000], [0.4378, 0.5622]]",
    max_abs_err=0.0603,
    atol=1e-5,
    first_diff=[0, 0, 1, 0],
    axes=["batch", "head", "query", "key"],
    mistake="scaled-by-d_model",
    message=(
        "Known mistake: This is exactly the result of dividing by sqrt(d_model) instead of sqrt(d_model // n_heads)."
    ),
)
PROMISED = """\
FAIL scale                         attention.py:38 CausalSelfAttention.forward
  expected  [[1.0000, 0.0000], [0.3775, 0.6225]]
  got       [[1.0000, 0.0000], [0.4378, 0.5622]]
  differs first at [batch 0, head 0, query 1, key 0]: 0.0603 (allowed 1e-05)
  Known mistake: this is exactly the result of dividing by sqrt(d_model) instead
  of sqrt(d_model // n_heads).
"""
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)


def result(state: str, message: str = "", **more: object) -> CheckResult:
    return CheckResult("scale", "attention", "scores are divided", State(state), message=message, **more)  # type: ignore[arg-type]


def text(*checks: CheckResult) -> str:
    return "".join(f"{line}\n" for check in checks for _, line in draw.check_lines(check))


def report(*checks: CheckResult) -> RunReport:
    return RunReport("0.1", "project2", "/w", "abc", 0.6, 7, "landlock-7+seccomp", {}, list(checks))


def drawn(monkeypatch: pytest.MonkeyPatch, *checks: CheckResult) -> str:
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    draw.show([*draw.report_lines(report(*checks)), ("", draw.next_line(report(*checks)))])
    return stream.getvalue()


def test_a_failing_check_has_the_promised_shape() -> None:
    assert text(SCALE) == PROMISED


def test_other_states_take_a_line_each() -> None:
    where = Where("attention.py", 12, "softmax")
    assert text(result("ok")) == "ok   scale                         scores are divided\n"
    assert text(result("todo", where=where)) == "todo scale                         attention.py:12 softmax\n"
    assert (
        text(result("wait", "needs shape (fail)"))
        == "wait scale                         needs shape (fail)\n"
    )
    assert text(result("skip", "no GPU here")) == "skip scale                         no GPU here\n"


@pytest.mark.parametrize("state", ["error", "time", "mem", "crash", "kit"])
def test_every_trouble_names_its_state_and_says_its_message(state: str) -> None:
    found = text(result(state, "What happened."))
    assert found.startswith(f"{state.upper()} ".ljust(5) + "scale ")
    assert "  What happened.\n" in found


def test_limits_and_our_own_faults_come_with_advice() -> None:
    assert "loop that does not end" in text(result("time"))
    assert "larger than the step needs" in text(result("mem"))
    assert "not of your code" in text(result("kit"))


def test_a_broken_rule_is_shown_beside_a_right_value() -> None:
    found = text(result("ok", rule="attention.py:9 uses torch's own softmax."))
    assert found.startswith("ok   scale")
    assert "rule scale                         The values are right, but a rule is broken.\n" in found
    assert "  attention.py:9 uses torch's own softmax.\n" in found


def test_the_last_lines_that_the_code_printed_are_shown() -> None:
    found = text(result("error", output="".join(f"line {n}\n" for n in range(30))))
    assert "(20 earlier lines are left out)" in found
    assert "  | line 29\n" in found
    assert "line 19" not in found


def test_values_of_several_lines_stay_aligned() -> None:
    found = text(result("fail", expected="[1,\n 2]", got="x"))
    assert "  expected  [1,\n            2]\n" in found.replace("             2", "            2")
    assert "  got       x\n" in found


@pytest.mark.parametrize(
    ("first", "axes", "says"),
    [
        ([], None, "  differs: 0.0603 (allowed 1e-05)\n"),
        ([3], None, "  differs first at [3]: 0.0603 (allowed 1e-05)\n"),
        ([3, 1], ["batch"], "  differs first at [3, 1]: 0.0603 (allowed 1e-05)\n"),
    ],
)
def test_a_difference_without_names_of_its_axes(first: list[int], axes: list[str] | None, says: str) -> None:
    assert says in text(result("fail", first_diff=first, axes=axes, max_abs_err=0.0603, atol=1e-5))


def test_an_infinite_difference_can_be_drawn() -> None:
    assert "differs first at [0]: inf" in text(
        result("fail", first_diff=[0], max_abs_err=float("inf"), atol=1e-8)
    )


@pytest.mark.parametrize("field", ["message", "expected", "got", "output", "rule"])
def test_nothing_from_the_code_can_steer_the_terminal(field: str) -> None:
    evil = "a\x1b[2J\x1b]0;title\x07b\rc\x9b31m\u202ed\x00"
    found = text(
        result("ok" if field == "rule" else "error", **{field: evil}),
        result("error", where=Where(evil, 1, evil)),
    )
    assert all(character.isprintable() or character == "\n" for character in found)
    assert "\\x1b[2J" in found


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_nothing_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    long = result(
        "fail", "word " * 60, expected="1.0000, " * 60, got="x" * 300, output="y" * 300, rule="z " * 90
    )
    lines = drawn(
        monkeypatch, SCALE, long, result("ok", rule="z " * 90), result("wait", "needs it " * 20)
    ).splitlines()
    assert max(len(ANSI.sub("", line)) for line in lines) <= columns


def test_values_are_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    value = ", ".join(f"{n}.5" for n in range(100))
    assert re.sub(r"\s+", " ", value) in re.sub(r"\s+", " ", text(result("fail", expected=value)))


def test_colour_repeats_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (SCALE, result("ok"), result("todo"), result("wait", "needs x"))
    coloured = drawn(monkeypatch, *checks)
    assert "\x1b[38;2;0;114;178mok " in coloured
    assert "\x1b[38;2;213;94;0mFAIL " in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = drawn(monkeypatch, *checks)
    assert plain == ANSI.sub("", coloured)
    assert "\x1b" not in plain


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert "\x1b" not in drawn(monkeypatch, SCALE)


def test_a_pipe_gets_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    draw.show(draw.report_lines(report(SCALE)))
    assert "\x1b" not in capsys.readouterr().out


def test_an_old_windows_console_can_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    checks = [result(state.value, "message", first_diff=[0], rule="rule", output="x") for state in State]
    assert drawn(monkeypatch, SCALE, *checks).encode("cp1252")


def test_the_summary_counts_and_says_how_to_repeat() -> None:
    lines = [line for _, line in draw.summary_lines(report(SCALE, result("ok", rule="r"), result("ok")))]
    assert lines[1] == "project2: 2 ok, 1 fail, 1 broken rule  (0.6 s)"
    assert lines[2] == "seed 7, isolation landlock-7+seccomp"


@pytest.mark.parametrize(
    ("checks", "says"),
    [
        ([SCALE], "next: cohort hint project2 scale"),
        ([result("ok"), result("todo")], "next: cohort hint project2 attention"),
        ([result("ok"), result("wait", blocked_by="shape")], "next: cohort check project2 shape"),
        ([result("wait", blocked_by="shape"), SCALE], "next: cohort hint project2 scale"),
        ([result("ok", rule="r")], "next: write it yourself, then cohort check project2 attention"),
        ([result("kit")], "next: cohort doctor"),
        ([result("ok"), result("skip")], "next: cohort status"),
    ],
)
def test_the_next_line_is_about_the_first_thing_that_is_not_ok(checks: list[CheckResult], says: str) -> None:
    assert draw.next_line(report(*checks)) == says
