"""Checkpoints that survive a kill, a power cut and a damaged disk: a folder each, safetensors and JSON, no pickle.

    checkpoints/step-00000100/
      model.safetensors  optimizer.safetensors     one file per group of tensors
      state.json                                   what is no tensor
      manifest.json                                size and SHA-256 of each file, written last

    save(folder, step, tensors, state, keep=2)     returns when the checkpoint is safe
    writer = Writer(folder, keep=2)                the same behind the training's back:
      writer.reserve(tensors)                        once, if you like: the first save is then as quick as the rest
      writer.save(step, tensors, state)              copies the tensors in memory and returns; a thread writes them
      writer.finished()                              what became safe since the last question: [Saved, ...]
      writer.wait(), writer.close()                  until it is safe; the thread's errors come out here
    load_newest(folder, tell) -> Loaded | None     the newest one that is whole; says which it had to pass over
    load(path), verify(path), best(folder), checkpoints(folder)

A save writes into a folder aside (.tmp-...), syncs every file, then the manifest, then the folder, and renames it as
the last act. So whatever stops it, the newest checkpoint that can be loaded is the one before or the new one. Only
then are older ones removed, and only verified ones count towards `keep`: damaged ones never push out a good one. The
newest one that was the best stays as well. The order of writes, syncs and renames is that of a database:
https://www.sqlite.org/atomiccommit.html
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import BrokenManifest
from cohort_cli.training import disk, guards, seal, sharded, snapshot
from cohort_cli.training.snapshot import Buffers, Snapshot, Tensors

SCHEMA = "cohort.checkpoint/1"
STATE, SUFFIX = "state.json", ".safetensors"
# ".old-step-..." was moved out of the way by a newer save of the same step; it counts until that one is in place
_CHECKPOINT = re.compile(r"(\.old-)?step-(\d{8,})")
_LEFTOVER = re.compile(r"\.(tmp|trash)-.*step-\d{8,}")
_GROUP = re.compile(r"[A-Za-z0-9_-]+")


class DamagedCheckpoint(BrokenManifest):
    """A checkpoint that is not what was written."""


class Loaded(NamedTuple):
    path: Path
    step: int
    tensors: Tensors
    state: dict[str, Any]


class Saved(NamedTuple):
    path: Path
    step: int
    seconds: float  # from the call to a checkpoint that is safe
    stall: float  # seconds of them in which training waited


# --- reading ---------------------------------------------------------------------------------------------


def load_newest(folder: Path, tell: Callable[[str], None], like: sharded.Like | None = None) -> Loaded | None:
    """The newest checkpoint that is whole. None: there is none; training starts at the beginning.

    `like`: see `load`.
    """
    damaged = 0
    for path in checkpoints(folder):
        try:
            loaded = load(path, like)
        except DamagedCheckpoint as error:
            damaged += 1
            tell(f"{error.message} Trying the one before.")
            continue
        if damaged:
            tell(f"Going on from {path.name}.")
        return loaded
    if damaged:
        tell("No checkpoint is whole. Training starts at the beginning.")
    return None


def load(path: Path, like: sharded.Like | None = None) -> Loaded:
    """Read one checkpoint, after verifying it. Raises DamagedCheckpoint, which says what is wrong.

    The tensors are mapped from the file: copy what you keep. Where several processes wrote their shards, `like` gives
    the empty tensors to read into; without it each tensor is put together whole.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    repair = "Use an earlier checkpoint of the same run."
    if problems := verify(path):
        raise DamagedCheckpoint(f"{path} is damaged: {'; '.join(problems)}.", repair)
    try:
        manifest = seal.read(path, SCHEMA)
        if sharded.is_sharded(manifest["files"]):
            tensors = sharded.read(path, like)
        else:
            names = [name for name in manifest["files"] if name.endswith(SUFFIX)]
            tensors = {name.removesuffix(SUFFIX): load_file(path / name) for name in names}
        for group, twins in manifest["same"].items():
            tensors[group] |= {name: tensors[group][first] for name, first in twins.items()}
        state = json.loads((path / STATE).read_bytes())
        return Loaded(path, int(manifest["step"]), tensors, state)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error}.", repair) from None


def verify(path: Path) -> list[str]:
    """What is wrong with a checkpoint, a clause each; nothing if every byte is as it was written."""
    return seal.problems(path, SCHEMA)


def best(folder: Path) -> Path | None:
    """The whole checkpoint with the lowest validation loss of its run so far."""
    return next((path for path in checkpoints(folder) if _is_best(path) and not verify(path)), None)


def checkpoints(folder: Path) -> list[Path]:
    """All of them, newest first, whole or not."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _CHECKPOINT.fullmatch(path.name):
            found.append((int(match[2]), match[1] is None, path))
    return [path for _, _, path in sorted(found, reverse=True)]


def _is_best(path: Path) -> bool:
    try:
        return bool(seal.read(path, SCHEMA)["is_best"])
    except (ValueError, KeyError):
        return False


# --- writing ---------------------------------------------------------------------------------------------


def save(
    folder: Path, step: int, tensors: Tensors, state: dict[str, Any], *, keep: int, is_best: bool = False
) -> Path:
    """Write checkpoints/step-N and remove older ones. Raises DiskTrouble, and then the older ones are as they were."""
    return _write(folder, step, _taken(tensors, {}), json.dumps(state), keep, is_best)


class Writer:
    """Saves without holding up the training, which waits for a copy in memory only; a thread does the rest.

    The copy costs as much memory as a checkpoint has bytes, once: its buffers are used again and again. A save that
    comes while the one before is still being written waits for it.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder, self.keep = folder, keep
        self._buffers: Buffers = {}
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._finished: list[Saved] = []

    def reserve(self, tensors: Tensors) -> None:
        """Get the memory for tensors like these ready, in the thread."""
        self.wait()
        self._start(lambda: snapshot.reserve(tensors, self._buffers))

    def save(
        self,
        step: int,
        tensors: Tensors,
        state: dict[str, Any],
        *,
        is_best: bool = False,
        began: float | None = None,
    ) -> None:
        """Take a copy and return. Raises what went wrong with the save before.

        began: time.perf_counter() when training stopped for this save; now, if it is None.
        """
        began = time.perf_counter() if began is None else began
        self.wait()
        copy, text = _taken(tensors, self._buffers), json.dumps(state)
        stall = time.perf_counter() - began

        def write() -> None:
            path = _write(self.folder, step, copy, text, self.keep, is_best)
            self._finished.append(Saved(path, step, time.perf_counter() - began, stall))

        self._start(write)

    def finished(self) -> list[Saved]:
        """The saves that became safe since the last call. Raises what went wrong meanwhile."""
        if self._thread is not None and not self._thread.is_alive():
            self.wait()
        saved, self._finished = self._finished, []
        return saved

    def wait(self) -> None:
        """Until nothing is being written. Raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def close(self) -> None:
        self.wait()
        self._buffers.clear()

    def _start(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self._error = error

        # not a daemon: a program that ends for another reason still finishes the file that it began
        self._thread = threading.Thread(target=guarded, name="checkpoint writer")
        self._thread.start()


def _taken(tensors: Tensors, buffers: Buffers) -> Snapshot:
    for group in tensors:
        if not _GROUP.fullmatch(group):
            raise ValueError(f"{group!r} cannot be a group of tensors: it names a file")
    return snapshot.take(tensors, buffers)


def _write(folder: Path, step: int, copy: Snapshot, state: str, keep: int, is_best: bool) -> Path:
    def fill(aside: Path) -> None:
        for group, tensors in copy.tensors.items():
            disk.write_tensors(aside / f"{group}{SUFFIX}", tensors)

    return write_with(fill, folder, step, copy.nbytes, state, keep=keep, is_best=is_best, same=copy.same)


def aside_of(folder: Path, step: int) -> Path:
    """Where a checkpoint is written before it has its name."""
    return folder / f".tmp-{name_of(step)}"


def name_of(step: int) -> str:
    return f"step-{step:08d}"


def write_with(
    fill: Callable[[Path], None],
    folder: Path,
    step: int,
    needed: int,
    state: str,
    *,
    keep: int,
    is_best: bool,
    same: dict[str, dict[str, str]] | None = None,
) -> Path:
    """A checkpoint whose tensors `fill` writes into the folder that it is given; `needed` is how many bytes they have.

    Raises DiskTrouble, and what `fill` raises; then the older ones are as they were.
    """
    if keep < 1 or step < 0:
        raise ValueError(f"keep = {keep} and step = {step}: at least 1 and 0 are needed")
    name = name_of(step)
    target, aside, old = folder / name, aside_of(folder, step), folder / f".old-{name}"
    try:
        disk.make_folders(folder)
        _sweep(folder)
        guards.require_space(folder, needed)
        disk.make_folder(aside)
        fill(aside)
        disk.write_bytes(aside / STATE, state.encode())
        seal.close(aside, SCHEMA, {"step": step, "is_best": is_best, "same": same or {}})
        if target.exists():  # this step was saved before; no system replaces a folder by another in one act
            disk.remove_all(old)
            disk.rename(target, old)
        disk.rename(aside, target)
        disk.sync_folder(folder)
    except Exception as error:
        _sweep(folder)
        if isinstance(error, OSError):
            raise guards.disk_trouble(error, str(target)) from error
        raise
    _prune(folder, keep, target)
    return target


def _prune(folder: Path, keep: int, new: Path) -> None:
    """Remove what is older than the `keep` newest whole checkpoints, but not the newest best one."""
    found = checkpoints(folder)
    if len(found) <= keep:
        return  # nothing could go, so nothing needs to be read
    kept: set[str] = set()
    has_best = False
    for path in found:
        number = path.name.rpartition("-")[2]
        wanted = number not in kept and (len(kept) < keep or (not has_best and _is_best(path)))
        if wanted and (path == new or not verify(path)):
            kept.add(number)
            has_best = has_best or _is_best(path)
        elif len(kept) >= keep or number in kept:
            _discard(path)  # a damaged one that is newer than these may stay for somebody to look at


def _discard(path: Path) -> None:
    """Away with a checkpoint: first its name, so that half of one never looks like a checkpoint."""
    trash = path.with_name(f".trash-{path.name}")
    with contextlib.suppress(OSError):  # on Windows somebody may have it open. The next save tries again
        disk.rename(path, trash)
        disk.remove_all(trash)


def _sweep(folder: Path) -> None:
    """Remove what a killed or failed save left."""
    with contextlib.suppress(OSError):  # the check for space and the next save tell if that matters
        for path in folder.iterdir():
            if _LEFTOVER.fullmatch(path.name):
                disk.remove_all(path)
