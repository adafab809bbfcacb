"""What a member has reached, derived from the results log and the files' hashes. There is no other record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cohort_cli import fingerprint
from cohort_cli.catalog import Project
from cohort_cli.checking import log
from cohort_cli.checking.states import State
from cohort_cli.memo import Memo
from cohort_cli.workspace import Workspace

NEVER = "not checked"


@dataclass
class StepProgress:
    """One step: check id -> its state now. A verdict on other code than today's is `stale`."""

    id: str
    title: str
    states: dict[str, str] = field(default_factory=dict)
    broken_rules: int = 0

    @property
    def done(self) -> bool:
        return (
            bool(self.states)
            and set(self.states.values()) <= {State.OK, State.SKIP}
            and not self.broken_rules
        )

    def counts(self) -> dict[str, int]:
        order = [state.value for state in State] + [NEVER]
        found = list(self.states.values())
        return {state: found.count(state) for state in order if state in found}


def of_project(
    workspace: Workspace, project: Project, tell: Callable[[str], None] = lambda line: None
) -> list[StepProgress]:
    """Each step of a project that has been started. `tell` hears about lines of the log that are damaged."""
    memo = Memo(workspace.state_folder / f"memo-{project.id}.json")
    checks = project.read_checks(memo)
    verdicts = log.newest(workspace.log_path, project.id, [check.id for check in checks], tell)
    now = step_hashes(workspace.project_folder(project), project, memo)
    memo.save()
    steps = []
    for step in project.steps:
        progress = StepProgress(step.id, step.title)
        for check in (check for check in checks if check.step == step.id):
            verdict = verdicts.get(check.id)
            if verdict is None:
                progress.states[check.id] = NEVER
            elif verdict.code_sha256 != now[step.id]:
                progress.states[check.id] = State.STALE.value
            else:
                progress.states[check.id] = verdict.state.value
                progress.broken_rules += verdict.rule is not None
        steps.append(progress)
    return steps


def step_hashes(folder: Path, project: Project, memo: Memo | None = None) -> dict[str, str]:
    """step -> hash of everything that its checks touch, as it is now."""
    memo = Memo() if memo is None else memo
    return {
        step.id: fingerprint.step_sha256(folder, *project.files_of(step.id), memo=memo)
        for step in project.steps
    }


def not_ok(steps: list[StepProgress]) -> list[str]:
    """Checks that do not stand as ok on today's code; all of a step's, if a rule of it is broken."""
    return [
        id
        for step in steps
        for id, state in step.states.items()
        if state not in (State.OK, State.SKIP) or step.broken_rules
    ]


def to_start(projects: list[Project], started: list[Project]) -> list[Project]:
    """Projects to begin, the best first: those after the last that was begun, then those that were passed over."""
    last = projects.index(started[-1]) if started else -1
    return [project for project in (*projects[last + 1 :], *projects[: last + 1]) if project not in started]


def next_step(steps: list[StepProgress]) -> StepProgress | None:
    """The first step that is not done."""
    return next((step for step in steps if step.states and not step.done), None)
