"""The pytest plugin that turns acceptance tests into verdicts.

pytest finds and runs the tests; this plugin gives them `member`, `expect` and `rng`, keeps their order, holds back those
whose needs are not met, and makes one CheckResult of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cohort_cli import fingerprint
from cohort_cli.acceptance import CheckInfo
from cohort_cli.catalog import Project
from cohort_cli.checking.judge import diagnose, rules
from cohort_cli.checking.judge.expect import CheckFailed, Expect
from cohort_cli.checking.judge.inputs import Rng, seed_of
from cohort_cli.checking.judge.member import Line, Member
from cohort_cli.checking.judge.players import Player, Players, Terms
from cohort_cli.checking.judge.stopped import MemberRaised, Stopped
from cohort_cli.checking.results import CheckResult
from cohort_cli.checking.states import State
from cohort_cli.memo import Memo

OUTPUT_SHOWN = 4000
SIGNALS = {
    -4: "SIGILL",
    -6: "SIGABRT",
    -7: "SIGBUS",
    -8: "SIGFPE",
    -9: "SIGKILL",
    -11: "SIGSEGV",
    -15: "SIGTERM",
}


OPEN = "The names of your parameters leave open which is which; those in the guide would not."


class Blocked(Exception):
    """A check that must wait: `root` is the check at the beginning of the chain that is not ok."""

    def __init__(self, root: str, state: State) -> None:
        super().__init__(root)
        self.root = root
        self.state = state


class Verdicts:
    """One run over a member's folder.

    order: the ids to run, each after what it needs. shown: those whose verdicts were asked for.
    """

    def __init__(
        self,
        project: Project,
        terms: Terms,
        players: Players,
        seed: int,
        order: list[str],
        already_ok: set[str],
        tell: Callable[[CheckResult], None],
    ) -> None:
        self.project = project
        self.terms = terms
        self.players = players
        self.seed = seed
        self.order = order
        self.already_ok = already_ok
        self.tell = tell
        self.info = {check.id: check for check in project.checks}
        self.done: dict[str, CheckResult] = {}
        self.level = ""
        self.player: Player | None = None
        self.line: Line | None = None
        self.started = 0.0
        self.failure: BaseException | None = None
        self.guessed = False  # the check failed, and the names of the parameters left open which is which
        self.work = terms.work
        self.sources = rules.Sources(terms.work)
        self.memo = Memo()  # steps share files
        self.hashes: dict[str, str] = {}  # step -> hash of the code that its checks depend on

    # pytest's hooks, in the order in which they run

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        by_id = {_id(item): item for item in items}
        items[:] = [by_id[id] for id in self.order if id in by_id]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.started, self.failure, self.line, self.player = time.monotonic(), None, None, None
        for need in self.info[_id(item)].needs:
            result = self.done.get(need)
            if result is None and need not in self.already_ok:
                raise Blocked(need, State.SKIP)
            if result is not None and result.state is not State.OK:
                root = result.blocked_by or need
                raise Blocked(root, self.done[root].state if root in self.done else State.SKIP)

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> Rng:
        return Rng(seed_of(self.seed, _id(request.node)))

    @pytest.fixture
    def expect(self) -> Expect:
        return Expect()

    @pytest.fixture
    def member(self, request: pytest.FixtureRequest) -> Member:
        place = self.order.index(_id(request.node))
        here, *then = (self.info[id] for id in self.order[place : place + 2])
        terms = self._terms_of(here.step)
        following = next((info.first_module for info in then if self._terms_of(info.step) == terms), "")
        self.player = self.players.take(terms, here.first_module, following)
        self.level = self.player.level
        self.line = Line(self.player.request, self.player.cpu_seconds)
        return Member(self.line)

    def _terms_of(self, step: str) -> Terms:
        return replace(self.terms, blocked=self.project.blocked_in(step))

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        """Run the test; where the names of the parameters leave open which is which, in each way until one passes."""
        test, given = _with_fixtures(pyfuncitem.obj), dict[str, Any](pyfuncitem.funcargs)
        rng = given.get("rng") or Rng(0)
        self.guessed = False
        try:
            test(given.get("member"), given.get("expect"), rng)  # type: ignore[arg-type]
        except (CheckFailed, MemberRaised):
            self.guessed = rng.ways > 1
            if not any(self._holds(test, given["member"], pyfuncitem, way) for way in range(1, rng.ways)):
                raise
        return True

    def _holds(self, test: diagnose.Test, member: Member, item: pytest.Item, way: int) -> bool:
        member.seed(self.terms.seed)
        try:
            test(member, Expect(), Rng(seed_of(self.seed, _id(item)), way))
        except (CheckFailed, MemberRaised):
            return False
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[Any]:
        report = yield
        if call.excinfo is not None and self.failure is None:
            self.failure = call.excinfo.value
        if call.when == "teardown":
            result = self._verdict(item)
            self.done[result.id] = result
            self.tell(result)
        return report

    # From what happened to a verdict

    def _verdict(self, item: pytest.Item) -> CheckResult:
        info = self.info[_id(item)]
        result = CheckResult(info.id, info.step, info.title, State.OK, needs=list(info.needs))
        printed, status = "", None
        if self.player is not None:
            printed = self.player.printed()
            try:
                status = self.players.finish(self.player)
            except Stopped as stopped:
                self.failure = self.failure or stopped
        self._fill(result, item, status)
        result.seconds = round(time.monotonic() - self.started, 4)
        result.output = printed[-OUTPUT_SHOWN:] if result.state is not State.OK else ""
        result.code_sha256 = self._code_sha256(info.step)
        if self.line is not None and result.state is State.OK:
            result.rule = rules.broken(self.project.rules, self.sources, self.line)
        return result

    def _code_sha256(self, step: str) -> str:
        if step not in self.hashes:
            self.hashes[step] = fingerprint.step_sha256(
                self.work, *self.project.files_of(step), memo=self.memo
            )
        return self.hashes[step]

    def _fill(self, result: CheckResult, item: pytest.Item, status: int | None) -> None:
        failure = self.failure
        result.where = self.line.where if self.line is not None and failure is not None else None
        if failure is None:
            return
        if isinstance(failure, Blocked):
            result.state, result.blocked_by = State.WAIT, failure.root
            result.message = f"needs {failure.root} ({failure.state.value})"
        elif isinstance(failure, MemberRaised) and failure.todo:
            result.state, result.where, result.message = State.TODO, failure.where, failure.message
        elif isinstance(failure, MemberRaised) and failure.out_of_memory:
            result.state, result.where, result.message = State.MEM, failure.where, f"{failure}"
        elif isinstance(failure, MemberRaised):
            result.state, result.where, result.message = State.ERROR, failure.where, f"{failure}"
            if missing := self._missing_file(failure):
                result.message = f"{missing} is missing. Put it back with: cohort start {self.project.id}"
            else:
                self._diagnose(result, item, failure)
        elif isinstance(failure, CheckFailed):
            result.state, result.message = State.FAIL, failure.message
            result.expected, result.got = failure.expected, failure.got
            result.max_abs_err, result.atol = failure.max_abs_err, failure.atol
            result.first_diff, result.axes = failure.first_diff, failure.axes
            self._diagnose(result, item, failure)
        elif isinstance(failure, Stopped):
            result.state, result.message = failure.state, failure.message or _how_it_ended(status)
        elif isinstance(failure, pytest.skip.Exception):
            result.state, result.message = State.SKIP, str(failure.msg)
        elif self.line is not None and diagnose.passes_on_reference(self.project, self._rerun(item)):
            result.state = State.FAIL
            result.message = f"The check could not use this answer: {type(failure).__name__}: {failure}"
        else:
            result.state = State.KIT
            result.message = f"The check itself is broken: {type(failure).__name__}: {failure}"

    def _missing_file(self, failure: MemberRaised) -> str | None:
        """The file of the project that an import looked for in vain."""
        if failure.type != "ModuleNotFoundError":
            return None
        files = dict.fromkeys(step.file for step in self.project.steps)
        gone = [file for file in files if not (self.work / file).exists()]
        return next((file for file in gone if f"'{Path(file).stem}'" in failure.message), None)

    def _rerun(self, item: pytest.Item) -> diagnose.Rerun:
        test = _with_fixtures(item.obj)  # type: ignore[attr-defined]
        return diagnose.Rerun(test, self.terms.seed, seed_of(self.seed, _id(item)))

    def _diagnose(self, result: CheckResult, item: pytest.Item, failure: CheckFailed | MemberRaised) -> None:
        if self.guessed:
            result.message = f"{result.message} {OPEN}".strip()
            return
        file = result.where.file if result.where is not None else self.project.step(result.step).file
        found = diagnose.diagnose(self.project, result.id, file, self._rerun(item), failure)
        if found is not None:
            result.mistake = found.name
            result.message = f"{result.message} Known mistake: {found.why}".strip()


def _with_fixtures(test: Callable[..., Any]) -> diagnose.Test:
    """The test as a function of (member, expect, rng), whichever of them it takes."""
    names = test.__code__.co_varnames[: test.__code__.co_argcount]

    def run(member: Member, expect: Expect, rng: Rng) -> Any:
        given = {"member": member, "expect": expect, "rng": rng}
        return test(**{name: given[name] for name in names})

    return run


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return "It closed its connection to the judge."
    if status < 0:
        return f"The process died: {SIGNALS.get(status, f'signal {-status}')}."
    return f"The process ended with exit code {status} before it answered."


def _id(item: pytest.Item) -> str:
    mark = item.get_closest_marker("check")
    assert mark is not None
    return str(mark.kwargs["id"])


def arguments(project: Project, infos: list[CheckInfo]) -> list[str]:
    """pytest's command line: our files and nothing of the folder that the command was called from."""
    files = sorted({str(info.file) for info in infos})
    unused = (
        "logging",
        "unraisableexception",
        "threadexception",
        "cacheprovider",
        "junitxml",
        "pastebin",
        "doctest",
        "unittest",
        "faulthandler",
        "stepwise",
        "setuponly",
    )
    options = [
        "-c",
        str(Path(__file__).with_name("pytest.ini")),
        "--rootdir",
        str(project.acceptance),
        "--noconftest",
    ]
    options += ["--import-mode=importlib", "--assert=plain", "--capture=no", "-q", "--no-header", "--tb=no"]
    return [*files, *options, *(word for name in unused for word in ("-p", f"no:{name}"))]
