"""The folder that a player may write in: made, measured and removed, whatever the player has put there.

A player can nest folders deeper than Python may recurse or a path may be long, and can close them (mode 0). So nothing
here calls itself once for each folder, as `os.walk` and `shutil.rmtree` do in Python 3.11.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

MAX_FILES = 2000
MAX_DEPTH = 50


def new_scratch(folder: Path, number: int) -> tuple[Path, Path]:
    """An empty folder to write in, and beside it the path for what the player prints."""
    scratch = folder / f"scratch-{number}"
    scratch.mkdir()
    return scratch, folder / f"output-{number}.txt"


def measure(folder: Path) -> tuple[int, int]:
    """Bytes and number of files and folders. It stops counting beyond MAX_FILES; too deep counts as too many."""
    total = files = 0
    waiting = [(os.fspath(folder), 0)]
    while waiting and files <= MAX_FILES:
        place, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return total, MAX_FILES + 1
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                files += 1
                if files > MAX_FILES:
                    break
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total, files


def remove(folder: Path) -> None:
    """Remove the folder and all that is in it. What cannot be removed is left to the system's own cleaning."""
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
        return
    with contextlib.suppress(OSError):
        _flatten(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _flatten(folder: Path) -> None:
    """Open every folder below, and move each up until it lies directly in `folder`, holding files only."""
    number = 0
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        os.chmod(place, stat.S_IRWXU)
        with os.scandir(place) as entries:
            inner = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        for child in inner:
            os.chmod(child, stat.S_IRWXU)  # a folder that is closed cannot be moved
            moved = folder / f"moved-{number}"
            while os.path.lexists(moved):
                number += 1
                moved = folder / f"moved-{number}"
            waiting.append(child.rename(moved) if place != folder else child)
