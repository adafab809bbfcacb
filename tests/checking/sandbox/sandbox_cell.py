"""A room on disk with a member's file, a secret and a reference, and a way to run a script inside the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.checking import sandbox

BEST = sandbox.best_level()
LANDLOCK = pytest.param(
    BEST if BEST.startswith("landlock") else "landlock",
    id="landlock",
    marks=pytest.mark.skipif(
        not BEST.startswith("landlock"), reason="this kernel has no Landlock or no seccomp"
    ),
)
RLIMITS = pytest.param(
    "rlimits", id="rlimits", marks=pytest.mark.skipif(os.name != "posix", reason="there are no rlimits here")
)
NOBODY = 65534


@dataclass(frozen=True)
class Outcome:
    """What became of a script."""

    level: str = ""
    answer: Any = None
    error: str = ""  # the exception's type, or nothing
    message: str = ""
    errno: int | None = None
    status: int = 0  # exit code, or minus the signal


@dataclass
class Cell:
    """A room on disk, and a way to run a script in it."""

    level: str
    root: Path
    process: subprocess.Popen[str]
    uid: int = 0
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def reference(self) -> Path:
        return self.root / "kit" / "reference"

    @property
    def secret(self) -> Path:
        return self.root / "secret.txt"

    def run(self, script: str, work: Path | None = None, **names: Any) -> Outcome:
        """Run `script` with `work`, `scratch`, `reference` and `secret` as text, and `names`."""
        places = {name: str(getattr(self, name)) for name in ("work", "scratch", "reference", "secret")}
        request = {
            "level": self.level,
            "work": str(work or self.work),
            "scratch": str(self.scratch),
            "hidden": [str(self.reference)],
            "limits": self.limits,
            "uid": self.uid,
            "script": script,
            "names": {**places, **names},
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return Outcome(**json.loads(self.process.stdout.readline()))


def make_cell(level: str, root: Path, forge: subprocess.Popen[str]) -> Cell:
    cell = Cell(level, root, forge)
    cell.work.mkdir()
    cell.scratch.mkdir()
    cell.reference.mkdir(parents=True)
    (cell.work / "attention.py").write_text("mine = 1\n")
    (cell.reference / "attention.py").write_text("answer = 42\n")
    cell.secret.write_text("a secret of the user's\n")
    return cell
