"""Which parts of a job are the member's: those that are written in the workspace and pass their checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cohort_cli import progress
from cohort_cli.catalog import Project, find_project
from cohort_cli.checking import log
from cohort_cli.checking.client import Judge
from cohort_cli.errors import CohortError
from cohort_cli.training.config import Config
from cohort_cli.training.parts import PARTS, needed
from cohort_cli.workspace import Workspace

Tell = Callable[[str, str], None]  # (a word, what is to be known)


def parts_of(
    space: Workspace, config: Config, project: Project, model: str | None, tell: Tell
) -> dict[str, str]:
    """part -> folder of the member's code, for each part of this job that is written and right. Raises CohortError,
    naming the part and the check, if one is wrong; with `model` "mine" also if none is written."""
    wanted = needed(config, project.id)
    if config.model.recipe != "gpt2" and model != "mine":
        del wanted[0]  # a member's GPT is GPT-2; the modern network is the kit's own
    mine, todo = {}, []
    states = _states(space, sorted({PARTS[part].project for part in wanted}), wanted, tell)
    for part in wanted:
        state, check = states[part]
        if state == "ok":
            mine[part] = str(space.project_folder(find_project(PARTS[part].project)))
        elif state in ("todo", "absent"):
            todo.append(part)
        else:
            raise CohortError(
                f"Your {part} ({PARTS[part].file}: {PARTS[part].says}) does not pass its checks: "
                f"{check} is {state}.",
                f"cohort check {PARTS[part].project} {check}    or train the kit's: --model reference",
            )
    if model == "mine" and not mine:
        raise CohortError(
            "None of the parts that this job uses is written yet.",
            f"cohort check {PARTS[wanted[0]].project}    or train the kit's: --model reference",
        )
    tell("yours", ", ".join(mine) or "none yet")
    tell("the kit's", ", ".join(todo) or "nothing")
    return mine


def _states(
    space: Workspace, projects: list[str], wanted: list[str], tell: Tell
) -> dict[str, tuple[str, str]]:
    """part -> (ok, todo, absent, or the state of its first check that is not ok; that check).

    A verdict on exactly the code that is there is believed; other checks are run now, and their verdicts kept.
    """

    answers: dict[str, tuple[str, str]] = {}
    for id in projects:
        project = find_project(id)
        parts = [part for part in wanted if PARTS[part].project == id]
        if not space.has(project):
            answers |= {part: ("absent", "") for part in parts}
            continue
        steps = {step for part in parts for step in PARTS[part].steps}
        reached = [step for step in progress.of_project(space, project) if step.id in steps]
        again = [
            check
            for step in reached
            for check, state in step.states.items()
            if state in (progress.NEVER, "stale")
        ]
        if again:
            tell("checking", f"{len(again)} checks of {id}, which have no verdict on this code")
            with Judge() as judge:
                report = judge.check(project, space.project_folder(project), again, None, None)
            log.append(space.log_path, report)
            reached = [step for step in progress.of_project(space, project) if step.id in steps]
        for part in parts:
            answers[part] = _worst([step for step in reached if step.id in PARTS[part].steps])
    return answers


def _worst(steps: list[Any]) -> tuple[str, str]:
    """What stands in the way of using these steps: nothing, unwritten code, or wrong code."""
    unwritten = ("", "")
    for step in steps:
        for check, state in step.states.items():
            if state in ("todo", "wait"):
                unwritten = unwritten if unwritten[0] else ("todo", check)
            elif state not in ("ok", "skip"):
                return state, check
        if step.broken_rules:
            return "fail", step.id
    return unwritten if unwritten[0] else ("ok", "")
