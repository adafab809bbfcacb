"""Folders that a command line names: on this machine, or in a git repository elsewhere, fetched and never run.

with ExitStack() as stack:
    folder = fetch("https://example.org/our-group.git", stack)    the copy is removed when the stack closes
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from cohort_cli.errors import DataTrouble, UsageError
from cohort_cli.prose import clean

SECONDS = 120  # for one remote
MOST_BYTES, MOST_FILES = 512 * 1024**2, 50_000  # of a copy, with what git keeps beside it
LOOK = 0.2  # seconds between two looks at its size
_REMOTE = re.compile(r"(https|ssh|git|file)://|[\w.-]+@[\w.-]+:")
_SAFE = [
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "core.symlinks=false",
]  # no command as an address; links stay text
_CLONE = ["clone", "--quiet", "--depth", "1", "--no-recurse-submodules", "--"]
_SILENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}


def is_remote(source: str) -> bool:
    """Whether it looks like the address of a repository."""
    return bool(_REMOTE.match(source))


def fetch(source: str, stack: ExitStack) -> Path:
    """The folder itself, or a shallow copy of a remote. Nothing of what is fetched is run.

    Raises UsageError for what is neither, DataTrouble if git could not fetch it, or if it is too large.
    """
    if Path(source).is_dir():
        return Path(source)
    if not is_remote(source):
        raise UsageError(f"There is no folder {source}.", "Name a folder, or a remote such as https://…")
    place = stack.enter_context(tempfile.TemporaryDirectory(prefix="cohort-fetched-"))
    command = ["git", *_SAFE, *_CLONE, source, f"{place}/copy"]
    trouble, said = _run(command, Path(place))
    if trouble:
        raise DataTrouble(f"git could not fetch {clean(source)}: {clean(trouble)}.", "git --version")
    if said:
        raise DataTrouble(
            f"git could not fetch {clean(source)}: {clean(said)}", f"git ls-remote {clean(source)}"
        )
    return Path(place) / "copy"


def _run(command: list[str], place: Path) -> tuple[str, str]:
    """(why we ended it, what git said when it failed); nothing, if all is well.

    It is ended when it takes too much: the little that is fetched may unpack to anything.
    """
    env = {**os.environ, **_SILENT}
    with (place / "said").open("w+b") as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=env
            )
        except OSError as trouble:
            return str(trouble), ""
        try:
            end = time.monotonic() + SECONDS
            while process.poll() is None and not too_large(place):
                if time.monotonic() > end:
                    return f"it takes longer than {SECONDS} seconds", ""
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK)
        finally:
            _end(process)
        if too_large(place):
            return f"it has more than {MOST_BYTES // 1024**2} MiB or {MOST_FILES:,} files", ""
        errors.seek(0)
        lines = errors.read(1 << 20).decode("utf-8", "replace").strip().splitlines()
    return "", (lines[-1] if lines else "no reason given") if process.returncode else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop git and what it has started, on every system."""
    import psutil

    if process.poll() is None:
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        process.kill()
    process.wait()


def too_large(place: Path) -> bool:
    """Whether a folder has more than is allowed; no more of it is looked at than that takes."""
    size = files = 0
    for folder, _, names in os.walk(place):
        for name in names:
            files += 1
            with suppress(OSError):  # gone meanwhile
                size += os.lstat(Path(folder) / name).st_size
            if size > MOST_BYTES or files > MOST_FILES:
                return True
    return False
