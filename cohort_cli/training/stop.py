"""One flag for every way in which a run is asked to stop: a signal, Ctrl-C, or a file named STOP in the run's folder.

    with StopFlag(folder.stop_file) as stop:
        ...                       # the loop asks stop.requested() before each micro-batch and while it evaluates
    print(stop.reason)            # "SIGTERM", "Ctrl-C", "the file STOP" or ""

A signal only sets the flag; the loop then saves and ends by itself. A second Ctrl-C leaves at once with exit code 130:
what was saved before stays whole. Slurm should send SIGUSR2 before its time is up (--signal=USR2@120), since NCCL may
catch SIGUSR1.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

# SIGBREAK is Windows' Ctrl-Break; a closed terminal sends SIGHUP
NAMES = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGBREAK")
LEAVE_AT_ONCE = 130
_PR_SET_PDEATHSIG = 1
PARENT = "COHORT_PARENT"  # the id of the process that starts a trainer
LOOK_SECONDS = 1.0
SAID = "\nStopping: the state will be saved first. Ctrl-C again leaves at once, without saving.\n"


class StopAsked(Exception):
    """A stop was asked for before there was anything to save."""


class StopFlag:
    def __init__(self, stop_file: Path | None = None) -> None:
        self.stop_file = stop_file
        self.reason = ""
        self._interrupts = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopFlag:
        """Catch the signals. Only the main thread of a process can."""
        for name in NAMES:
            number = getattr(signal, name, None)
            if number is None:
                continue
            if name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started with nohup: it is meant to outlive its terminal
            self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def request(self, reason: str) -> None:
        """Ask from inside the program. The first reason stays."""
        self.reason = self.reason or reason

    def requested(self) -> bool:
        if not self.reason and self.stop_file is not None and self.stop_file.exists():
            self.request(f"the file {self.stop_file.name}")
        return bool(self.reason)

    def leave_if_requested(self) -> None:
        """Raise StopAsked, where work is under way that can begin anew."""
        if self.requested():
            raise StopAsked

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                os._exit(LEAVE_AT_ONCE)
            os.write(2, SAID.encode())  # print could be in the middle of a line of its own
        self.request("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)


def die_with_parent() -> None:
    """Ask for SIGTERM when the process that started us ends, so that a killed launcher leaves no trainers behind.

    Linux does it itself: prctl(2), PR_SET_PDEATHSIG. Elsewhere a thread looks at that process once a second. It is the
    one that $COHORT_PARENT names, since on Windows the Python of a virtual environment is started by a program between.
    """
    named = os.environ.pop(PARENT, "")  # it is for this process alone
    parent = int(named) if named.isdecimal() else os.getppid()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if not named or _lives(_process(parent)):  # else it ended before we asked
            return
    threading.Thread(target=end_after, args=(parent,), name="parent", daemon=True).start()


def end_after(pid: int) -> None:
    """Wait until that process has ended, then send ourselves SIGTERM."""
    parent = _process(pid)
    while _lives(parent):
        time.sleep(LOOK_SECONDS)
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGTERM)  # os.kill would end this process without a word there
    else:
        os.kill(os.getpid(), signal.SIGTERM)


def _process(pid: int) -> Any:
    """The process that has this id now, or None. A later one with the same id is another."""
    import psutil

    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _lives(process: Any) -> bool:
    import psutil

    try:
        return process is not None and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
