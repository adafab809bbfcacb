"""One process at a time trains into a run folder; a process that died holds nothing.

lock.json says who: process id, the time at which that process began (ids are used again), machine. On this machine the
system knows whether that process lives. For a folder that several machines share, the holder touches the file every few
seconds; a file that nobody touched for two minutes is nobody's.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from cohort_cli.errors import UsageError
from cohort_cli.training import disk, guards

BEAT_SECONDS = 15.0
STALE_SECONDS = 120.0  # without a beat, seen from another machine
SAME_START = 2.0  # seconds; how exactly a system knows when a process began
GUARD_SECONDS = 30.0  # for the moment in which somebody else looks at the lock


class RunIsTaken(UsageError):
    """Another process trains into this folder."""


class Lock:
    """with Lock(path): ...  Raises RunIsTaken if a living process has it. `lost`: somebody took it from us."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = False
        self._token = uuid.uuid4().hex
        self._over = threading.Event()
        self._beats = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Lock:
        with _guard(self.path):
            owner = _read(self.path)
            if owner is not None and is_alive(owner):
                raise RunIsTaken(
                    f"{self.path.parent} is being trained by process {owner['pid']} on {owner['host']}.",
                    f"Wait for it, or ask it to save and stop with an empty file: {self.path.parent / 'STOP'}",
                )
            mine = {
                "pid": os.getpid(),
                "began": began(os.getpid()),
                "host": socket.gethostname(),
                "boot": _boot(),
            }
            try:
                disk.replace_bytes(self.path, json.dumps({**mine, "token": self._token}).encode())
            except OSError as error:
                raise guards.disk_trouble(error, str(self.path)) from None
        self._beats.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._beats.join()
        with _guard(self.path):
            if self._is_ours():
                self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            if not self._is_ours():  # this machine slept, and another one went on with the run
                self.lost = True
                return
            try:
                os.utime(self.path)
            except OSError:
                continue

    def _is_ours(self) -> bool:
        owner = _read(self.path)
        return owner is not None and owner["token"] == self._token


def is_held(path: Path) -> bool:
    """Whether a living process has the lock."""
    owner = _read(path)
    return owner is not None and is_alive(owner)


def is_alive(owner: dict[str, Any]) -> bool:
    """Whether the process of this lock lives: by the system's word, or on another machine by its beats."""
    if owner["host"] != socket.gethostname():
        return bool(time.time() - owner["touched"] < STALE_SECONDS)
    if owner["boot"] != _boot():
        return False
    return is_same(owner["pid"], owner["began"])


def is_same(pid: int, when: float) -> bool:
    """Whether the process of this machine that began then still lives."""
    now = began(pid)
    return now is not None and abs(now - when) < SAME_START


def began(pid: int) -> float | None:
    """When this process of this machine began, in seconds. None: no such process lives.

    On Linux since the machine was started, as the kernel counts: no clock that is set can change that. Else since 1970.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform == "linux":
            fields = (
                Path(f"/proc/{pid}/stat")
                .read_text(encoding="utf-8", errors="replace")
                .rpartition(")")[2]
                .split()
            )
            return int(fields[19]) / os.sysconf("SC_CLK_TCK")  # proc(5): starttime
        return float(process.create_time())
    except (psutil.NoSuchProcess, OSError, ValueError, OverflowError):  # gone, or a number that is no id
        return None


def _boot() -> str:
    """Which start of this machine it is; "" where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _read(path: Path) -> dict[str, Any] | None:
    """Who has the lock, and when the file was last touched. None: nobody, or what it says is no owner."""
    try:
        touched = path.stat().st_mtime
        owner = json.loads(path.read_bytes())
        return {"pid": int(owner["pid"]), "began": float(owner["began"]), "host": str(owner["host"]),
                "boot": str(owner.get("boot", "")), "token": str(owner["token"]), "touched": touched}  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def _guard(path: Path) -> Iterator[None]:
    """For the moment of looking and taking: a lock of the system's own, which ends with its process."""
    from filelock import FileLock, Timeout

    guard = FileLock(path.with_name(f".{path.name}.guard"), timeout=GUARD_SECONDS)
    try:
        guard.acquire()
    except Timeout:
        raise RunIsTaken(
            f"{path.parent}: another process is about to train here, and waits.", "Stop that one first."
        ) from None
    except OSError as error:
        raise guards.disk_trouble(error, str(path)) from None
    try:
        yield
    finally:
        guard.release()
