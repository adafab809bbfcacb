"""Folders that a command line names: on this machine, or in a git repository elsewhere, fetched and never run.

with ExitStack() as stack:
    folder = fetch("https://example.org/our-group.git", stack)    the copy is removed when the stack closes
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from cohort_cli.errors import DataTrouble, UsageError
from cohort_cli.prose import clean

SECONDS = 120  # for one remote
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

    Raises UsageError for what is neither, DataTrouble if git could not fetch it.
    """
    if Path(source).is_dir():
        return Path(source)
    if not is_remote(source):
        raise UsageError(f"There is no folder {source}.", "Name a folder, or a remote such as https://…")
    place = stack.enter_context(tempfile.TemporaryDirectory(prefix="cohort-fetched-"))
    command = ["git", *_SAFE, *_CLONE, source, f"{place}/copy"]
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, **_SILENT},
        )
    except (OSError, subprocess.TimeoutExpired) as trouble:
        raise DataTrouble(f"git could not fetch {clean(source)}: {trouble}.", "git --version") from None
    if ended.returncode:
        said = clean(ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else "no reason given")
        raise DataTrouble(f"git could not fetch {clean(source)}: {said}", f"git ls-remote {clean(source)}")
    return Path(place) / "copy"
