"""For authors: does a project keep the promise? `cohort kit verify project2` prints what this finds.

the untouched scaffold   every check `todo` or `wait`
the reference            every check `ok`, within the project's time budget
every alternate          every check `ok`: correct answers in other styles
every known mistake      refused by the check meant for it, and named
every step               has three rungs of hints
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cohort_cli.catalog import Project, kit_root
from cohort_cli.checking.client import Judge
from cohort_cli.checking.results import CheckResult
from cohort_cli.checking.states import State
from cohort_cli.errors import BrokenManifest
from cohort_cli.mistakes import Mistake

RUNGS = 3
NAMED_SHARE = 0.9  # of the mistakes, at least, must be named exactly

Tell = Callable[[str], None]


@dataclass
class Verification:
    """What was found. `problems` is empty when the project keeps the promise."""

    project: str
    problems: list[str] = field(default_factory=list)
    checks: int = 0
    mistakes: int = 0
    refused: int = 0
    named: int = 0
    alternates: int = 0
    alternates_ok: int = 0
    reference_seconds: float = 0.0
    unguarded: list[str] = field(default_factory=list)  # checks that no mistake is meant for

    def figures(self) -> list[str]:
        """One line for each figure, for people."""
        return [
            f"checks              {self.checks}",
            f"reference           {self.reference_seconds:.1f} s",
            f"alternates ok       {self.alternates_ok} of {self.alternates}",
            f"mistakes refused    {self.refused} of {self.mistakes}",
            f"mistakes named      {self.named} of {self.mistakes}",
            f"checks no mistake is meant for   {', '.join(self.unguarded) or 'none'}",
        ]


def verify(project: Project, judge: Judge, tell: Tell = lambda line: None) -> Verification:
    """Run everything. `tell` hears one line about each part as it ends."""
    found = Verification(project.id, checks=len(project.checks))
    _hints(project, found)
    _scaffold(project, judge, found, tell)
    _reference(project, judge, found, tell)
    for folder in alternates(project):
        _alternate(project, judge, folder, found, tell)
    mistakes = project.mistakes()
    found.mistakes = len(mistakes)
    meant = {mistake.check for mistake in mistakes}
    found.unguarded = [check.id for check in project.checks if check.id not in meant]
    for mistake in mistakes:
        _mistake(project, judge, mistake, found, tell)
    if found.named < NAMED_SHARE * found.mistakes:
        found.problems.append(f"only {found.named} of {found.mistakes} mistakes are named exactly")
    return found


def alternates(project: Project) -> list[Path]:
    """Complete correct solutions in other styles. They lie with the tests, so an installed kit has none."""
    folder = kit_root() / "tests" / "projects" / project.id / "alternates"
    return sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(("_", ".")))


def with_mistake(project: Project, mistake: Mistake, into: Path) -> Path:
    """A copy of the reference in `into` with the mistake in it."""
    work = into / "work"
    shutil.copytree(project.reference, work, ignore=shutil.ignore_patterns("__pycache__"))
    file = work / mistake.file
    file.write_text(mistake.apply(file.read_text(encoding="utf-8")), encoding="utf-8")
    return work


def _hints(project: Project, found: Verification) -> None:
    for step in project.steps:
        path = project.hints_dir / f"{step.id}.md"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        missing = [n for n in range(1, RUNGS + 1) if f"## Rung {n}" not in text]
        if missing:
            found.problems.append(f"hints/{step.id}.md lacks rung {', '.join(map(str, missing))}")


def _scaffold(project: Project, judge: Judge, found: Verification, tell: Tell) -> None:
    report = judge.check(project, project.scaffold)
    wrong = [check for check in report.checks if check.state not in (State.TODO, State.WAIT)]
    found.problems += [f"scaffold: {check.id} is {check.state.value}: {check.message}" for check in wrong]
    tell(f"scaffold            {_counts(report.summary)}")


def _reference(project: Project, judge: Judge, found: Verification, tell: Tell) -> None:
    report = judge.check(project, project.reference)
    found.problems += [f"reference: {_words(check)}" for check in report.checks if not _fine(check)]
    found.reference_seconds = report.seconds
    if report.seconds > project.budget_seconds:
        found.problems.append(
            f"reference: {report.seconds:.0f} s; the budget is {project.budget_seconds:g} s"
        )
    tell(f"reference           {_counts(report.summary)}")


def _alternate(project: Project, judge: Judge, folder: Path, found: Verification, tell: Tell) -> None:
    report = judge.check(project, folder)
    wrong = [f"alternate {folder.name}: {_words(check)}" for check in report.checks if not _fine(check)]
    found.alternates += 1
    found.alternates_ok += not wrong
    found.problems += wrong
    tell(f"alternate {folder.name}: {_counts(report.summary)}")


def _mistake(project: Project, judge: Judge, mistake: Mistake, found: Verification, tell: Tell) -> None:
    with tempfile.TemporaryDirectory(prefix="cohort-") as folder:
        try:
            work = with_mistake(project, mistake, Path(folder))
        except BrokenManifest as trouble:
            found.problems.append(trouble.message)
            return
        report = judge.check(project, work, select=[mistake.check])
    result = next(check for check in report.checks if check.id == mistake.check)
    if result.state in (State.OK, State.WAIT, State.TODO, State.KIT, State.SKIP):
        found.problems.append(
            f"mistake {mistake.name}: its check {_words(result)}, so it is not refused there"
        )
        tell(f"mistake {mistake.name}: NOT REFUSED by {mistake.check} ({result.state.value})")
        return
    found.refused += 1
    found.named += result.mistake == mistake.name
    said = "named" if result.mistake == mistake.name else f"called {result.mistake or 'nothing'}"
    tell(f"mistake {mistake.name}: {result.state.value} in {mistake.check}, {said}")


def _fine(check: CheckResult) -> bool:
    return check.state is State.OK and check.rule is None


def _words(check: CheckResult) -> str:
    return f"{check.id} is {check.state.value}. {check.message} {check.rule or ''}".strip()


def _counts(summary: dict[str, int]) -> str:
    return " · ".join(f"{count} {state}" for state, count in summary.items())
