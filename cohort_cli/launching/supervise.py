"""Trains a run's folder to its end on this machine: what was killed is started again, as long as that brings it further.

    with supervised(folder, processes, threads, limits) as (training, events):
        for event in events:          # as launch.started has them; the last one says how the whole job ended
            ...
        training.stop()               # from a signal handler, say: asked once, it stays asked

torchrun is told --max-restarts=0, and this loop starts torchrun again. Its own restarts count every death, so a job of
a week would end after the third one, however far it came; with torch 2.13 the new processes may read the addresses of
the dead; and nothing restarts a torchrun that was killed itself. Here only restarts in a row without one more checkpoint
count.

An attempt is judged by what stands in the folder (`judge`): torchrun hides exit codes. No torch here.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from cohort_cli.errors import CohortError
from cohort_cli.launching.faults import may_be_lost, speaks_of_a_peer
from cohort_cli.launching.job import Limits
from cohort_cli.training import kept, launch, lock
from cohort_cli.training.runs import RunFolder

LOOK_SECONDS = 0.5
PAUSE_SECONDS = 1.0  # after each restart in a row that brought nothing, once more
STOPPED, FAILED = 75, 7
KILLED = -int(getattr(signal, "SIGKILL", 9))  # how a process that was killed ends, where the system says so


class Attempt(NamedTuple):
    """What is known of one start of the training processes, beside the folder."""

    processes: int
    code: int  # of the process that we started
    began: bool  # training began: all processes found each other, and had their data
    asked: str  # why it was asked to stop, or ""
    end: dict[str, Any]  # the event with which it ended, or {}


class Verdict(NamedTuple):
    again: bool
    why: str  # it goes on
    end: dict[str, Any]  # the event that ends the whole job, if it does not


def judge(folder: RunFolder, tried: Attempt) -> Verdict:
    """Is the job over, and how? What a person or the member's own code ended is over; what was killed is not."""
    end, state, alone = tried.end, str(tried.end.get("state", "")), tried.processes == 1
    if state in ("done", "refused"):
        return Verdict(False, "", end)
    # A killed launcher's processes stop too; and so does one whose peer died before they had found each other.
    if state == "stopped" and (tried.asked or (tried.code != KILLED and (tried.began or alone))):
        return Verdict(False, "", end)
    if state == "failed" and (alone or end["exit"] != FAILED):
        return Verdict(False, "", end)
    if message := _own_fault(folder.read_errors(), tried):
        repair = str(end.get("repair") or _read(folder))
        return Verdict(False, "", _ended(folder, "failed", FAILED, message, repair))
    if not end and alone and tried.code > 0 and sys.platform != "win32":  # it could not even begin
        return Verdict(False, "", _ended(folder, "failed", FAILED, f"{_how(tried)}.", _read(folder)))
    if tried.asked:  # before there was anything to save, or killed while it saved
        return Verdict(False, "", _ended(folder, "stopped", STOPPED))
    return Verdict(True, _how(tried) if not end else "A process died, and the others with it", {})


def _own_fault(errors: list[dict[str, Any]], tried: Attempt) -> str:
    """What a process died of, if it is more than a complaint that another one is gone; else nothing."""
    own = [error for error in errors if not may_be_lost(error) or not speaks_of_a_peer(error)]
    definite = [error for error in own if not may_be_lost(error)]
    if not definite and len(errors) < tried.processes:  # somebody died without a word
        return ""
    if not own:
        return ""
    first = min(definite or own, key=lambda error: str(error.get("time")))
    said, message = str(tried.end.get("message", "")), str(first.get("message"))
    return said if message in said else f"{first.get('error')}: {message}"


def _how(tried: Attempt) -> str:
    how = "was killed" if tried.code == KILLED else f"ended without a word (code {tried.code})"
    return (
        f"The training process {how}" if tried.processes == 1 else f"torchrun or one of its processes {how}"
    )


def _read(folder: RunFolder) -> str:
    return f"Read {folder.log_path}    then: {go_on(folder)}"


def go_on(folder: RunFolder) -> str:
    return f"cohort train {folder.project()} --resume --name {folder.root.name}"


def _ended(folder: RunFolder, state: str, code: int, message: str = "", repair: str = "") -> dict[str, Any]:
    end = {
        "event": "end",
        "state": state,
        "step": kept.saved_step(folder),
        "message": message,
        "repair": repair,
    }
    return {**end, "exit": code}


# --- the loop ------------------------------------------------------------------------------------------------


class Training:
    """A job under way. `stop` may be called from anywhere; a file STOP or the end of its time does the same."""

    def __init__(
        self, folder: RunFolder, processes: int, threads: int, limits: Limits, words: Sequence[str] = ()
    ) -> None:
        self.folder, self.processes, self.threads, self.words = folder, processes, threads, words
        self.max_stalls = limits.max_stalls
        self.asked = ""
        self.restarts = 0
        self._over = threading.Event()
        self._end = time.monotonic() + limits.walltime - limits.grace if limits.walltime else float("inf")

    def stop(self, why: str) -> None:
        self.asked = self.asked or why
        with contextlib.suppress(OSError):
            self.folder.request_stop()

    def look(self) -> None:
        """Hears requests. Processes that are just starting take a file STOP for an old one, so it is put back."""
        while not self._over.wait(LOOK_SECONDS):
            if time.monotonic() > self._end:
                self.stop("its time is over")
            elif self.folder.stop_path.exists():
                self.asked = self.asked or "the file STOP"
            elif self.asked:
                self.stop(self.asked)

    def finish(self) -> None:
        self._over.set()

    def events(self) -> Generator[dict[str, Any], None, None]:
        stalls = 0
        while True:
            before = kept.saved_step(self.folder)
            self.folder.forget_trouble(0.0)
            tried = yield from self._attempt()
            verdict = judge(self.folder, tried)
            if not verdict.again:
                yield self._settled(verdict.end)
                return
            after = kept.saved_step(self.folder)
            stalls = 0 if after > before else stalls + 1
            if stalls > self.max_stalls:
                yield self._settled(self._gives_up(verdict.why, stalls, tried))
                return
            self.restarts += 1
            with contextlib.suppress(OSError):
                self.folder.log(f"{verdict.why}: started again from step {after}")
            yield {"event": "note", "text": f"{verdict.why}. It is started again, from step {after}."}
            time.sleep(PAUSE_SECONDS * stalls)
            if self.asked or self.folder.stop_path.exists():
                yield self._settled(_ended(self.folder, "stopped", STOPPED))
                return

    def _attempt(self) -> Generator[dict[str, Any], None, Attempt]:
        began, end = False, {}
        with launch.started(self.folder, self.processes, self.threads, self.words) as (process, events):
            for event in events:  # until the last process that could say something is gone
                began = began or event["event"] == "start"
                if event["event"] == "end":
                    end = event
                else:
                    yield event
            process.wait()
        asked = self.asked or ("the file STOP" if self.folder.stop_path.exists() else "")
        return Attempt(self.processes, process.returncode, began, asked, end)

    def _gives_up(self, why: str, stalls: int, tried: Attempt) -> dict[str, Any]:
        times = "once" if stalls == 1 else f"{stalls} times in a row"
        said = tried.end.get("message") or "; ".join(str(e.get("message")) for e in self.folder.read_errors())
        message = f"{why}, {times} without one more checkpoint" + (f": {said}" if said else ".")
        return _ended(self.folder, "failed", FAILED, message, _read(self.folder))

    def _settled(self, end: dict[str, Any]) -> dict[str, Any]:
        """The folder says how the job ended, also where its processes could not write that."""
        if end["state"] == "refused" or self.folder.is_running():
            return end
        state, message, code = end["state"], end["message"], end["exit"]
        with contextlib.suppress(CohortError):  # a full disk, of which the processes told already
            status = self.folder.read_status()
            if (status.state, status.message, status.exit) != (state, message, code):
                self.folder.write_status(state, end["step"], status.steps, message=message, exit=code)
        return end


@contextmanager
def supervised(
    folder: RunFolder, processes: int, threads: int, limits: Limits, words: Sequence[str] = ()
) -> Iterator[tuple[Training, Generator[dict[str, Any], None, None]]]:
    """One job; raises RunIsTaken where somebody else looks after this folder. `words`: another trainer."""
    training = Training(folder, processes, threads, limits, words)
    with lock.Lock(folder.root / "supervisor.json"):
        looking = threading.Thread(target=training.look, name="requests", daemon=True)
        looking.start()
        events = training.events()
        try:
            yield training, events
        finally:
            events.close()  # if we are left in a hurry, the processes are asked to stop
            training.finish()
            looking.join()
