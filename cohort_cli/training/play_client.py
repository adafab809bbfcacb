"""Asks a trained model, which lives in a process of its own (play.py). No torch here.

run, kept = find("RUN")                       or a checkpoint's folder
with Player(run, kept) as player:
    player.ready                              what was loaded
    for event in player.ask(prompt="The ", ...): ...
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cohort_cli.errors import CohortError
from cohort_cli.training import kept, launch
from cohort_cli.training.places import runs_home
from cohort_cli.training.runs import RunFolder, find_run

LAST = ("done", "result")  # events that end an answer
TAIL = 600  # characters of what a process said before it died
PATIENCE = 5.0  # seconds, for a process that was told to end


def find(word: str, which: str = "best") -> tuple[RunFolder, kept.Kept]:
    """The run and the checkpoint that a word on the command line names. Raises UsageError if there is none."""
    path = Path(word)
    if path.name.startswith("step-") and (path.absolute().parent.parent / "config.json").is_file():
        run = RunFolder.open(path.absolute().parent.parent)
        return run, kept.choose(run, str(int(path.name.removeprefix("step-") or "0")))
    run = find_run(runs_home(), word)
    return run, kept.choose(run, which)


WRITES = "cohort_cli.training.play"  # the module that answers with text


class Process:
    """A process that holds a model: `python -m MODULE WORDS`. Raises what it could not do, as the CohortError that it
    was."""

    def __init__(self, module: str, words: Sequence[str], threads: int = 0) -> None:
        self.command = [sys.executable, "-m", module, *words]
        self.threads = threads
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            self.command,
            env=launch.environment(1, self.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        try:
            self.ready = self._next()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def ask(self, **request: Any) -> Iterator[dict[str, Any]]:
        """The events of one answer, the last one included."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died; what it said tells why
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        while True:
            event = self._next()
            yield event
            if event["event"] in LAST:
                return

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read()[-TAIL:].strip()
            trouble = CohortError(
                f"The process with the model ended without a word (code {code}). {said}".strip()
            )
            trouble.exit_code = 7
            raise trouble
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "error":
            trouble = CohortError(event["message"], event["repair"])
            trouble.exit_code = event["exit"]
            raise trouble
        return event

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The process ends with its input; in a hurry, at once."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if kind is not None:
            process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._errors.close()


class Player(Process):
    """The model of a run, as it was at a checkpoint."""

    def __init__(self, run: RunFolder, chosen: kept.Kept, module: str = WRITES, *words: str) -> None:
        super().__init__(module, [str(run.root), str(chosen.path), *words], run.config().hardware.threads)


def notes(run: RunFolder, chosen: kept.Kept, ready: dict[str, Any]) -> list[str]:
    """What one should know about the model that answers, a line each."""
    found = [f"{run.root.name}, step {chosen.step:,}, {ready['parameters']:,} parameters, {ready['device']}"]
    changed = run.changed_parts()
    if changed:
        found.append(f"your code of {', '.join(changed)} is another one than when this run was trained")
    return found
