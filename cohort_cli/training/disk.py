"""The few operations on a disk that a run's files are made with, in one place so that a test can stop at each of them.

A file is safe when its bytes are synced *and* the folder that holds its name is synced. A file that is replaced is
written aside first and renamed over the old one, so that a reader sees the old one or the new one, never a half.
No torch: `cohort runs` uses this too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

WINDOWS = sys.platform == "win32"
RENAME_TRIES = 20  # on Windows a virus scanner may hold a new file for a moment
RENAME_PAUSE = 0.05  # seconds


def make_folder(path: Path) -> None:
    path.mkdir()


def write_bytes(path: Path, data: bytes) -> None:
    """A new file, not yet synced."""
    path.write_bytes(data)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """A new safetensors file, not yet synced. Raises OSError when the disk does not take it."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path)
    except SafetensorError as error:
        # the library is written in Rust and puts the number of the system's error only into its text
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def sync(path: Path) -> None:
    """Wait until the file's bytes are on the disk itself, not only in the system's memory."""
    with path.open("r+b") as file:  # Windows syncs only what is open for writing
        _sync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk. Windows has no such call, and needs none."""
    if not WINDOWS:
        number = os.open(path, os.O_RDONLY)
        try:
            _sync(number)
        finally:
            os.close(number)


def rename(source: Path, target: Path) -> None:
    """Atomic: `target` is what it was, or it is `source`. A file may be replaced, a folder may not."""
    for attempt in range(RENAME_TRIES):
        try:
            source.replace(target)
            return
        except PermissionError:
            if not WINDOWS or attempt == RENAME_TRIES - 1:
                raise
            time.sleep(RENAME_PAUSE)


def remove_file(path: Path) -> None:
    path.unlink()


def remove_folder(path: Path) -> None:
    path.rmdir()


# What is made of them


def make_folders(path: Path) -> None:
    """The folder and those above it that are missing, their names synced as well."""
    if not path.is_dir():
        make_folders(path.parent)
        with contextlib.suppress(FileExistsError):  # another process was quicker
            make_folder(path)
        sync_folder(path.parent)


def replace_bytes(path: Path, data: bytes) -> None:
    """Put `data` into `path`, whole or not at all, even if the power fails now."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_bytes(aside, data)
        sync(aside)
        rename(aside, path)
    except OSError:
        with contextlib.suppress(OSError):
            remove_file(aside)
        raise
    sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Add a line in a single write. What an earlier writer tore stays a line of its own."""
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
    try:
        end = os.lseek(number, 0, os.SEEK_END)
        if end:
            os.lseek(number, end - 1, os.SEEK_SET)
        torn = end > 0 and os.read(number, 1) != b"\n"
        data = (b"\n" if torn else b"") + line + b"\n"
        if os.write(number, data) != len(data):
            os.ftruncate(number, end)  # the disk took a part only
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(number)


def remove_all(folder: Path) -> None:
    """A folder without folders in it, and its files. Nothing happens if it is not there."""
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            remove_file(path)
        remove_folder(folder)


def is_full(error: OSError) -> bool:
    """Does the disk have no room: full, over the user's quota, or at the largest size of a file?"""
    full = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
    return error.errno in full or getattr(error, "winerror", None) in (39, 112)


def _sync(number: int) -> None:
    if sys.platform == "darwin":  # fsync there stops at the drive's own memory
        import fcntl

        with contextlib.suppress(OSError):  # a file system that cannot do it
            fcntl.fcntl(number, fcntl.F_FULLFSYNC)
            return
    os.fsync(number)
