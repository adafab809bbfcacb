"""Programs of other projects, such as `sky` and `hf`: called by their names, never imported, never a dependency.

find("sky")                          its path, or None
call("sky", ["down", "x", "-y"])     what it said; JobTrouble (exit code 7) if it refuses
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cohort_cli.errors import CohortError, EnvironmentTrouble
from cohort_cli.prose import clean

LAST_WORDS = 6  # lines of a program's complaint that are shown
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# SkyPilot sends what its users do to its makers unless this is set; neither colours nor questions help a program.
QUIET = {"SKYPILOT_DISABLE_USAGE_COLLECTION": "1", "DO_NOT_TRACK": "1", "NO_COLOR": "1", "PYTHONUTF8": "1"}


class JobTrouble(CohortError):
    """A place refused the job, or one of its commands failed."""

    exit_code = 7


def find(name: str) -> str | None:
    return shutil.which(name)


def call(
    name: str, words: list[str], *, cwd: Path | None = None, timeout: float = 600, repair: str = ""
) -> str:
    """What the program said on standard output. Raises EnvironmentTrouble, or JobTrouble with its last words."""
    ended = run(name, words, cwd=cwd, timeout=timeout)
    if ended.returncode:
        said = plain(ended.stdout + ended.stderr)
        last = "\n".join(said.strip().splitlines()[-LAST_WORDS:])
        raise JobTrouble(
            f"{name} {words[0]} ended with {ended.returncode}:\n{clean(last)}", repair or f"{name} --help"
        )
    return plain(ended.stdout)


def run(
    name: str, words: list[str], *, cwd: Path | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """The program's own answer, whatever its exit code."""
    path = find(name)
    if path is None:
        raise EnvironmentTrouble(f"There is no program {name} here.", f"cohort doctor --on {name}")
    try:
        return subprocess.run(
            [path, *words],
            cwd=cwd,
            env={**os.environ, **QUIET},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise JobTrouble(
            f"{name} {words[0]} gave no answer for {timeout:.0f} s.", f"Try it yourself: {name} {words[0]}"
        ) from None


def follow(name: str, words: list[str]) -> Iterator[str]:
    """The program's lines while it says them. It ends when nobody reads any more."""
    path = find(name)
    if path is None:
        raise EnvironmentTrouble(f"There is no program {name} here.", f"cohort doctor --on {name}")
    with subprocess.Popen(
        [path, *words],
        env={**os.environ, **QUIET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield plain(line.rstrip("\n"))
        finally:
            process.terminate()


def plain(text: str) -> str:
    """Without the codes for colours."""
    return _COLOUR.sub("", text)
