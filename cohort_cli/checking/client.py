"""The command's side of the judge: start it, ask for a run, receive verdicts as they come. No torch here.

    with Judge() as judge:
        report = judge.check(project, folder, select=["attention"])

A judge imports torch once and can make many runs. If it dies, the checks that it had not finished are reported as
`crash`, and the next run gets a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cohort_cli
from cohort_cli import fingerprint
from cohort_cli.catalog import Project
from cohort_cli.checking.results import CheckResult, RunReport
from cohort_cli.checking.sandbox import Limits
from cohort_cli.checking.states import State
from cohort_cli.errors import EnvironmentTrouble, NothingRan, UsageError

# What the judge, and so the member's code, sees of the environment.
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "WINDIR",
    "SYSTEMDRIVE",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "COHORT_KIT",
)
QUIET = {
    "OMP_NUM_THREADS": "1",  # checks are tiny; one thread is faster, and the same on every machine
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",  # verdicts come from the CPU: a GPU differs in the last bits
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONUTF8": "1",
}
if sys.platform == "linux":
    # Large pages of memory: a fork copies a table of pages, and a third of the time of a small check went into that.
    # glibc's allocator can ask for them, so Python is told to use it. A system without them goes on as before.
    QUIET |= {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}

BARE = "--bare"  # beside the libraries on the judge's command line: also keep players without any

OnResult = Callable[[CheckResult], None]


class Judge:
    """A judge process. `isolation`: None for the best that this machine has, or "rlimits", "none", "worker"."""

    def __init__(self, isolation: str | None = None, limits: Limits | None = None) -> None:
        self.isolation = isolation
        self.limits = limits
        self.process: subprocess.Popen[str] | None = None
        self.preload: tuple[str, ...] = ()
        self.bare = False

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None

    def start(self, preload: tuple[str, ...] = ("torch",), bare: bool = False) -> None:
        """Start the process now, so that it imports these libraries while the caller does something else.

        bare: some steps forbid one of them, so there must also be players without any.
        """
        if self.process is not None and self.process.poll() is None:
            fits = self.preload == preload or (self.bare and not preload)
            if fits and (self.bare or not bare):
                return
        self.close()
        self.preload, self.bare = preload, bare
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | QUIET
        if self.isolation == "worker":
            environment["COHORT_PLAYER"] = "worker"
        # -E and -P: neither PYTHONPATH nor the current folder may slip a module of its own under the judge.
        command = [sys.executable, "-E", "-P", "-B", "-X", "utf8", "-m", "cohort_cli.checking.judge"]
        command += [*preload, *([BARE] if bare else [])]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=os.name == "posix",  # Ctrl-C reaches the command, which then ends the judge
        )

    def start_for(self, project: Project, ids: Iterable[str]) -> None:
        """The same, with what these checks of the project, and those that they need, have to have."""
        bare = {project.goes_bare(project.check(id).step) for id in project.with_needs(ids)}
        self.start(() if bare == {True} else project.preload, bare == {True, False})

    def check(
        self,
        project: Project,
        work: Path,
        select: Iterable[str] | None = None,
        seed: int | None = None,
        on_result: OnResult | None = None,
        already_ok: Iterable[str] = (),
    ) -> RunReport:
        """Run checks on the folder `work`.

        select: steps and checks; None means all. What they need runs too, and is reported only if it was selected.
        already_ok: checks that passed on exactly this code, so that they need not run again before others.
        Raises UsageError (unknown word, no such folder), NothingRan, EnvironmentTrouble (the judge does not start).
        """
        work = Path(work).resolve()
        if not work.is_dir():
            raise UsageError(f"There is no folder {work}.", "Give the folder that holds the project's files.")
        words = [step.id for step in project.steps] if select is None else list(select)
        ids = list(dict.fromkeys(info.id for word in words for info in project.find(word)))
        if not ids:
            raise NothingRan(f"{project.id} has no check in this selection.")
        seed = secrets.randbelow(2**31) if seed is None else seed
        started = time.monotonic()
        request = {
            "project": str(project.folder),
            "work": str(work),
            "ids": ids,
            "already_ok": list(already_ok),
            "seed": seed,
            "isolation": None if self.isolation == "worker" else self.isolation,
            "limits": asdict(self.limits or Limits(**project.limits._asdict())),
        }
        self.start_for(project, ids)
        results, done = self._run(request, on_result)
        order = {info.id: number for number, info in enumerate(project.checks)}
        missing = [id for id in ids if id not in results]
        for result in self._unfinished(project, missing, done):
            results[result.id] = result
            if on_result is not None:
                on_result(result)
        return RunReport(
            kit=cohort_cli.__version__,
            project=project.id,
            work=str(work),
            code_sha256=fingerprint.code_sha256(work),
            seconds=time.monotonic() - started,
            seed=seed,
            isolation=done.get("isolation", "unknown"),
            env=done.get("env", {}),
            checks=sorted(results.values(), key=lambda result: order[result.id]),
        )

    def close(self) -> None:
        """End the judge and its players."""
        process, self.process = self.process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # the judge ends at the end of its input, and cleans up
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def _run(
        self, request: dict[str, Any], on_result: OnResult | None
    ) -> tuple[dict[str, CheckResult], dict[str, Any]]:
        process = self.process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        results: dict[str, CheckResult] = {}
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "done":
                    return results, event
                result = CheckResult.from_json(event["result"])
                results[result.id] = result
                if on_result is not None:
                    on_result(result)
        except BrokenPipeError:
            pass
        except BaseException:  # Ctrl-C: end the judge at once, keep nothing half done
            process.terminate()
            self.close()
            raise
        return results, {}

    def _unfinished(self, project: Project, ids: list[str], done: dict[str, Any]) -> list[CheckResult]:
        """Checks without a verdict: the judge died, or did not run them."""
        if not ids:
            return []
        if done:
            state, message = State.KIT, f"The check did not run (pytest ended with {done.get('pytest')})."
        else:
            code, trouble = self._why_it_died()
            if code is not None and code > 0:
                raise EnvironmentTrouble(f"The judge could not start:\n{trouble}", "cohort doctor")
            state, message = (
                State.CRASH,
                f"The judge was killed (exit code {code}) before this check had a verdict.",
            )
        infos = {info.id: info for info in project.checks}
        return [
            CheckResult(
                id, infos[id].step, infos[id].title, state, needs=list(infos[id].needs), message=message
            )
            for id in ids
        ]

    def _why_it_died(self) -> tuple[int | None, str]:
        process = self.process
        if process is None or process.stderr is None:
            return None, ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        text = process.stderr.read() if process.poll() is not None else ""
        code = process.poll()
        self.close()
        return code, text.strip()[-2000:]
