"""The judge and the player, end to end, in each of the ways in which a player can run."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from cohort_cli.catalog import Project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.results import CheckResult
from cohort_cli.checking.states import State
from cohort_cli.errors import UsageError


def states(results: list[CheckResult]) -> dict[str, str]:
    return {result.id: result.state.value for result in results}


def edit(work: Path, file: str, find: str, replace: str) -> None:
    text = (work / file).read_text()
    assert text.count(find) == 1
    (work / file).write_text(text.replace(find, replace))


def test_the_reference_passes(judge: Judge, tiny: Project) -> None:
    report = judge.check(tiny, tiny.reference)
    assert report.summary == {"ok": 8}
    assert report.exit == 0
    assert report.isolation != "unknown"


def test_the_scaffold_is_todo_or_waits_for_the_root(judge: Judge, tiny: Project) -> None:
    report = judge.check(tiny, tiny.scaffold)
    assert report.summary == {"todo": 4, "wait": 4}
    gradient = next(check for check in report.checks if check.id == "gradient")
    assert gradient.blocked_by == "total"  # not "multiplies", its neighbour
    assert gradient.message == "needs total (todo)"
    total = next(check for check in report.checks if check.id == "total")
    assert total.where is not None
    assert (total.where.file, total.where.line) == ("sums.py", 2)


def test_a_mistake_is_named_and_placed(judge: Judge, tiny: Project, work: Path) -> None:
    edit(work, "gain.py", "x * self.weight", "x * self.weight.detach()")
    gradient = judge.check(tiny, work, ["gradient"]).checks[0]
    assert gradient.state is State.FAIL
    assert gradient.mistake == "detached"
    assert gradient.where is not None
    assert gradient.where.file == "gain.py"


def test_a_mistake_written_in_another_way_is_named_too(judge: Judge, tiny: Project, work: Path) -> None:
    edit(work, "gain.py", "return x * self.weight", "gain = self.weight.data\n        return gain * x")
    assert judge.check(tiny, work, ["gradient"]).checks[0].mistake == "detached"


def test_a_wrong_value_is_shown_with_its_first_difference(judge: Judge, tiny: Project, work: Path) -> None:
    edit(work, "gain.py", "x * self.weight", "x * self.weight + (torch.arange(4) == 2)")
    result = judge.check(tiny, work, ["multiplies"]).checks[0]
    assert result.state is State.FAIL
    assert result.first_diff == [0, 2]
    assert result.axes == ["batch", "channel"]
    assert result.max_abs_err == pytest.approx(1.0)
    assert result.mistake is None


def test_the_same_seed_gives_the_same_inputs_and_another_seed_others(
    judge: Judge, tiny: Project, work: Path
) -> None:
    edit(work, "sums.py", "return x.sum(dim)", "return x.sum(dim) + 1")
    got = [judge.check(tiny, work, ["total"], seed=seed).checks[0].got for seed in (7, 7, 8)]
    assert got[0] == got[1] != got[2]


def test_selecting_a_check_reports_only_it_and_names_the_root(
    judge: Judge, tiny: Project, work: Path
) -> None:
    edit(work, "sums.py", "return x.sum(dim)", "return x.sum(-1)")
    report = judge.check(tiny, work, ["gradient"])
    assert states(report.checks) == {"gradient": "wait"}
    assert report.checks[0].message == "needs total (fail)"


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ("raise RuntimeError('no')", State.ERROR),
        ("import sys; sys.exit(0)", State.ERROR),
        ("import os; os._exit(0)", State.CRASH),
        ("import os; os.abort()", State.CRASH),
        ("while True: pass", State.TIME),
        ("return torch.ones(1 << 34)", State.MEM),
        ("x = []\n    while True: x.append(bytearray(1 << 22))", State.MEM),
        ("return object()", State.FAIL),
    ],
)
def test_one_bad_function_costs_one_check(
    judge: Judge, tiny: Project, work: Path, body: str, state: State
) -> None:
    edit(work, "sums.py", "e = torch.exp(x - x.amax(dim, keepdim=True))\n", f"{body}\n    e = 1\n")
    found = states(judge.check(tiny, work).checks)
    assert found.pop("normalise") == state.value
    assert set(found.values()) == {"ok"}


def test_a_broken_rule_is_said_and_the_check_still_passes(judge: Judge, tiny: Project, work: Path) -> None:
    edit(
        work,
        "sums.py",
        "e = torch.exp(x - x.amax(dim, keepdim=True))\n",
        "return getattr(x, 'soft' + 'max')(dim)\n",
    )
    report = judge.check(tiny, work, ["normalise"])
    assert report.checks[0].state is State.OK
    assert "aten::_softmax" in (report.checks[0].rule or "")
    assert report.exit == 1


def test_what_the_code_prints_is_kept_for_a_check_that_is_not_ok(
    judge: Judge, tiny: Project, work: Path
) -> None:
    edit(work, "sums.py", "return x.sum(dim)", "print('my shape is', x.shape); return x")
    assert "my shape is torch.Size([2, 3, 4])" in judge.check(tiny, work, ["total"]).checks[0].output


def test_a_missing_file_is_named_with_its_repair(judge: Judge, tiny: Project, work: Path) -> None:
    (work / tiny.steps[0].file).unlink()
    first = judge.check(tiny, work).checks[0]
    assert first.state is State.ERROR
    assert first.message == f"{tiny.steps[0].file} is missing. Put it back with: cohort start {tiny.id}"


def test_a_syntax_error_is_placed(judge: Judge, tiny: Project, work: Path) -> None:
    (work / "sums.py").write_text("def total(x, dim):\n    return x.sum(dim\n")
    result = judge.check(tiny, work, ["total"]).checks[0]
    assert result.state is State.ERROR
    assert result.where is not None
    assert result.where.file == "sums.py"


def test_a_killed_judge_is_reported_and_replaced(tiny: Project, work: Path) -> None:
    with Judge() as judge:
        judge.check(tiny, work, ["total"])
        first = judge.pid

        def kill(result: CheckResult) -> None:
            if judge.pid == first:
                psutil.Process(first).kill()

        report = judge.check(tiny, work, on_result=kill)
        assert "crash" in report.summary
        assert report.exit == 1
        assert judge.check(tiny, work).summary == {"ok": 8}
        assert judge.pid != first


def test_nothing_is_left_behind(tiny: Project, work: Path) -> None:
    with Judge() as judge:
        judge.check(tiny, work)
        assert judge.pid is not None
        family = psutil.Process(judge.pid).children(recursive=True)
        assert family
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive


def test_an_unknown_step_and_a_missing_folder_are_usage_errors(tiny: Project, tmp_path: Path) -> None:
    judge = Judge()
    with pytest.raises(UsageError, match="no step and no check"):
        judge.check(tiny, tmp_path, ["sumz"])
    with pytest.raises(UsageError, match="no folder"):
        judge.check(tiny, tmp_path / "nowhere")
    assert judge.pid is None
