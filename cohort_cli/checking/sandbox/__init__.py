"""Where untrusted code runs: what the player may read, write, use and do.

Three levels, and the one that was reached is printed and recorded:

    landlock-N+seccomp   Linux: the kernel refuses files, sockets, processes and signals
    rlimits              POSIX: kernel limits, and an audit hook that refuses what Python code would try
    none                 elsewhere: the audit hook alone

The audit hook is there at every level, because it can say in words what was refused. Only the first level
holds against code that takes the hook apart on purpose, or that works below Python: see `guard.py`.

`prepare` is called once, in the fork server. `enter` is called in the player, after the fork and before any
of the member's code is imported.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cohort_cli.checking.sandbox import audit, landlock, linux, rlimits, seccomp
from cohort_cli.checking.sandbox.places import Places, python_places

# What the member's code may see of the environment. Tokens and keys of the user are not on this list.
KEPT_VARIABLES = (
    "PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "CUDA_VISIBLE_DEVICES",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
)
KEPT_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "KMP_", "PYTHON", "NUMBER_OF_PROCESSORS")


@dataclass(frozen=True)
class Limits:
    """What one check may use. The judge's watchdog enforces it; the kernel's own limits stand behind."""

    cpu_seconds: float = 10.0
    memory_mib: int = 1024  # resident
    scratch_mib: int = 64  # what it may write, in all
    output_mib: int = 8  # stdout and stderr together
    stall_factor: float = 10.0  # wall seconds per CPU second, counted only while the judge waits


@dataclass(frozen=True)
class Room:
    """The files of one check."""

    work: Path  # the member's files: readable
    scratch: Path  # the only writable folder; also the current directory
    hidden: tuple[Path, ...] = field(
        default=()
    )  # the kit's own folders: references, acceptance tests, mistakes


@dataclass(frozen=True)
class Prepared:
    """What `prepare` found out once, so that each player enters in a millisecond or two."""

    level: str
    abi: int  # Landlock's version; 0 at the other levels
    places: Places
    pid: int  # of the process that prepared
    guard: audit.Codes


def best_level() -> str:
    """The strongest level that this system offers."""
    if os.name != "posix":
        return "none"
    abi = landlock.abi()
    return f"landlock-{abi}+seccomp" if abi and seccomp.available() else "rlimits"


def prepare(level: str, kit_root: Path) -> Prepared:
    """Look up what every check may read: all but `kit_root`, the folder with projects/ and meetings/."""
    linux.conceal()
    abi = landlock.abi() if level.startswith("landlock") else 0
    return Prepared(level, abi, python_places(kit_root), os.getpid(), audit.compiled())


def enter(prepared: Prepared, room: Room, limits: Limits, *, reused: bool = False) -> str:
    """Give up, for good, everything that a check does not need. Returns the level that was reached.

    To be called while the process has a single thread. `reused`: the process will serve several checks, so
    that the kernel's own limit on CPU time, which counts over a whole life, cannot be set.
    """
    work, scratch = os.path.realpath(room.work), os.path.realpath(room.scratch)
    hidden = tuple(os.path.realpath(folder) for folder in room.hidden)
    _settle(scratch)
    level = "none"
    if os.name == "posix":
        os.umask(0o077)
        rlimits.apply(limits.cpu_seconds, limits.memory_mib, limits.scratch_mib, reused)
        level = "rlimits"
        if linux.SUPPORTED:
            _weaken(prepared, work)
            level = _lock(prepared, work, scratch, hidden) or level
    strict = level.startswith("landlock")
    audit.install(prepared.guard, audit.Allowed(work, scratch, hidden, prepared.places, strict))
    return level


def _settle(scratch: str) -> None:
    """Make scratch the current, the home and the temporary folder, and forget the user's environment."""
    os.chdir(scratch)
    for name in list(os.environ):
        if name not in KEPT_VARIABLES and not name.startswith(KEPT_PREFIXES):
            del os.environ[name]
    for name in ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"):
        os.environ[name] = scratch
    os.environ["USER"] = os.environ["LOGNAME"] = "member"
    tempfile.tempdir = scratch


def _weaken(prepared: Prepared, work: str) -> None:
    """Linux, at every level: no capabilities, none to be won, and an end together with the fork server."""
    linux.drop_capabilities()
    linux.forbid_new_privileges()
    linux.conceal()
    linux.die_with_parent(signal.SIGKILL)
    if prepared.pid not in (os.getpid(), os.getppid()):
        os._exit(1)  # the fork server died before we asked to die with it
    if not os.access(work, os.R_OK | os.X_OK):
        raise PermissionError(
            f"{work} cannot be read without the rights of an administrator. Run cohort as the folder's owner."
        )


def _lock(prepared: Prepared, work: str, scratch: str, hidden: tuple[str, ...]) -> str | None:
    """Landlock, then seccomp. None where the kernel, or a container around us, has neither or refuses."""
    if not prepared.abi:
        return None
    try:
        landlock.enter(prepared.abi, prepared.places, work, scratch, hidden)
        seccomp.enter(os.getpid())
    except OSError as error:
        print(f"The kernel's sandbox is not available: {error}", file=sys.stderr)
        return None
    return prepared.level
