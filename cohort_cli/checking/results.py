"""Results as data: the one list that terminal, JSON, results log and site draw.

Nothing here imports torch, so `cohort status` can read a log in milliseconds.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from cohort_cli.checking.states import State

SCHEMA = "cohort.check/1"


@dataclass
class Where:
    """A place in the member's code. `file` is relative to the project's folder."""

    file: str
    line: int
    name: str = ""


@dataclass
class CheckResult:
    """One check's verdict, with everything a member needs to understand it."""

    id: str
    step: str
    title: str
    state: State
    seconds: float = 0.0
    needs: list[str] = field(default_factory=list)
    blocked_by: str | None = None
    where: Where | None = None
    expected: str | None = None
    got: str | None = None
    max_abs_err: float | None = None
    atol: float | None = None
    first_diff: list[int] | None = None
    axes: list[str] | None = None  # names of the dimensions in first_diff
    mistake: str | None = None
    message: str = ""
    rule: str | None = None  # a rule of the step that the code breaks, although its values may be right
    output: str = ""  # what the member's code printed
    code_sha256: str = ""  # of the files that this check's step depends on

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CheckResult:
        """The inverse of `asdict`. Raises TypeError or ValueError on unknown keys or states."""
        fields = dict(data)
        fields["state"] = State(fields["state"])
        if fields.get("where") is not None:
            fields["where"] = Where(**fields["where"])
        return cls(**fields)


@dataclass
class RunReport:
    """One run of `cohort check`: what `--json` prints and the results log keeps."""

    kit: str
    project: str
    work: str
    code_sha256: str
    seconds: float
    seed: int
    isolation: str
    env: dict[str, str]
    checks: list[CheckResult]

    @property
    def summary(self) -> dict[str, int]:
        """How many checks ended in each state; states that did not occur are left out."""
        counts = Counter(check.state.value for check in self.checks)
        return {state.value: counts[state.value] for state in State if counts[state.value]}

    @property
    def exit(self) -> int:
        return exit_code(self.checks)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kit": self.kit,
            "project": self.project,
            "work": self.work,
            "code_sha256": self.code_sha256,
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "isolation": self.isolation,
            "env": self.env,
            "summary": self.summary,
            "exit": self.exit,
            "checks": [to_dict(check) for check in self.checks],
        }


def exit_code(checks: Iterable[CheckResult]) -> int:
    """0 all ok and no rule broken · 1 some not · 5 nothing ran · 70 a bug of the kit's own."""
    checks = list(checks)
    if not checks or all(check.state is State.SKIP for check in checks):
        return 5
    if any(check.state is State.KIT for check in checks):
        return 70
    fine = all(check.state in (State.OK, State.SKIP) and check.rule is None for check in checks)
    return 0 if fine else 1


def to_dict(check: CheckResult) -> dict[str, Any]:
    """One check as JSON; `CheckResult.from_json` reads it back.

    JSON knows no infinity, so the error of a value that is not finite becomes the largest float.
    """
    data = asdict(check)
    if check.max_abs_err is not None and not math.isfinite(check.max_abs_err):
        data["max_abs_err"] = sys.float_info.max
    return data
