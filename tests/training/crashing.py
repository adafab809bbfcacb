"""A disk that can be stopped at every operation, and a model of what a power cut may leave of it.

`Dying` stands in for the operations of cohort_cli.training.disk: it counts them, dies before one of them or in the
middle of a file, and lets nothing through afterwards, as a killed process does no more work. `record` keeps a history of
operations, `replay` works out what of it is certain to be on the disk, and `state` gives what a power cut may leave.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cohort_cli.training import disk

WRITES = ("write_bytes", "write_tensors")
OPERATIONS = (*WRITES, "make_folder", "sync", "sync_folder", "rename", "remove_file", "remove_folder")


class Killed(BaseException):
    """No `except Exception` of the program under test sees this, and neither would it see a kill."""


class Dying:
    """Counts operations; dies before number `at`, or having written half of it."""

    def __init__(self, at: int | None = None, half: bool = False, error: OSError | None = None) -> None:
        self.at, self.half, self.error = at, half, error
        self.names: list[str] = []
        self.dead = False

    def wrap(self, name: str, real: Callable[..., None]) -> Callable[..., None]:
        def operation(*words: Any) -> None:
            if self.dead:
                raise Killed
            self.names.append(name)
            if len(self.names) - 1 == self.at:
                if self.half and name in WRITES:
                    real(*words)
                    tear(words[0])
                if self.error is not None:
                    raise self.error  # this once; the program may go on and clean up
                self.dead = True
                raise Killed
            real(*words)

        return operation


@contextlib.contextmanager
def dying(dead: Dying) -> Iterator[Dying]:
    with pytest.MonkeyPatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(disk, name, dead.wrap(name, getattr(disk, name)))
        yield dead


def tear(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def every_point(names: list[str]) -> list[tuple[int, bool]]:
    """(operation, half of it) for each place at which a process that does these operations may be killed."""
    whole = [(number, False) for number in range(len(names))]
    return whole + [(number, True) for number, name in enumerate(names) if name in WRITES]


# --- power cuts ------------------------------------------------------------------------------------------


class Done(NamedTuple):
    """One operation that was done, with paths relative to the recorded folder."""

    name: str
    path: str
    target: str = ""  # of a rename
    data: bytes = b""  # of a write


@contextlib.contextmanager
def record(root: Path) -> Iterator[list[Done]]:
    history: list[Done] = []

    def wrap(name: str, real: Callable[..., None]) -> Callable[..., None]:
        def operation(*words: Any) -> None:
            real(*words)
            path = words[0].relative_to(root).as_posix()
            target = words[1].relative_to(root).as_posix() if name == "rename" else ""
            history.append(Done(name, path, target, words[0].read_bytes() if name in WRITES else b""))

        return operation

    with pytest.MonkeyPatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(disk, name, wrap(name, getattr(disk, name)))
        yield history


class File:
    def __init__(self) -> None:
        self.data, self.safe = b"", b""  # as programs see it; as it is certain to be on the disk


class Folder:
    """Its names now, and every earlier state of them since they were last synced: any of these may be on the disk."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = [{}]

    @property
    def names(self) -> dict[str, Any]:
        return self.states[-1]

    def change(self, **names: Any) -> None:
        merged = {**self.names, **names}
        self.states.append({name: node for name, node in merged.items() if node is not None})


def replay(history: list[Done]) -> Folder:
    """What a disk holds after these operations, with all that is not yet certain."""
    root = Folder()

    def at(path: str) -> Any:
        node: Any = root
        for part in [] if path == "." else path.split("/"):
            node = node.names[part]
        return node

    for done in history:
        above, _, name = done.path.rpartition("/")
        parent = at(above or ".")
        if done.name in WRITES:
            if name not in parent.names:
                parent.change(**{name: File()})
            parent.names[name].data = done.data
        elif done.name == "make_folder":
            parent.change(**{name: Folder()})
        elif done.name == "sync":
            at(done.path).safe = at(done.path).data
        elif done.name == "sync_folder":
            at(done.path).states = [at(done.path).names]
        elif done.name == "rename":
            assert done.target.rpartition("/")[0] == above, "the model knows renames within a folder only"
            parent.change(**{name: None, done.target.rpartition("/")[2]: parent.names[name]})
        else:
            parent.change(**{name: None})
    return root


FATES = ("kept", "lost", "torn", "zeroed")  # of bytes that were written and not synced
VARIANTS = [(names, fate) for names in ("newest", "safe", "any") for fate in (*FATES, "any")] + [
    ("any", "any")
] * 15


def state(
    folder: Folder, variant: tuple[str, str], chance: random.Random, place: str = ""
) -> dict[str, bytes | None]:
    """One state that a power cut may leave: path -> bytes of a file, or None for a folder."""
    names, fate = variant
    found: dict[str, bytes | None] = {}
    chosen = {"newest": folder.states[-1], "safe": folder.states[0], "any": chance.choice(folder.states)}[
        names
    ]
    for name, node in chosen.items():
        if isinstance(node, Folder):
            found[place + name] = None
            found |= state(node, variant, chance, f"{place}{name}/")
        else:
            found[place + name] = _content(node, chance.choice(FATES) if fate == "any" else fate)
    return found


def lay_down(found: dict[str, bytes | None], place: Path) -> None:
    """The state as real files."""
    place.mkdir()
    for name, data in found.items():
        if data is None:
            (place / name).mkdir()
        else:
            (place / name).write_bytes(data)


def _content(file: File, fate: str) -> bytes:
    if file.safe == file.data:
        return file.data
    middle = len(file.data) // 2
    return {
        "kept": file.data,
        "lost": file.safe,
        "torn": file.data[:middle],
        "zeroed": file.data[:middle] + bytes(len(file.data) - middle),
    }[fate]
