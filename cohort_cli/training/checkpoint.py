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
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import BrokenManifest
from cohort_cli.training import disk, guards, snapshot
from cohort_cli.training.snapshot import Buffers, Snapshot, Tensors

SCHEMA = "cohort.checkpoint/1"
MANIFEST, STATE, SUFFIX = "manifest.json", "state.json", ".safetensors"
# ".old-step-…" was moved out of the way by a newer save of the same step; it counts until that one is in place
_CHECKPOINT = re.compile(r"(\.old-)?step-(\d{8,})")
_LEFTOVER = re.compile(r"\.(tmp|trash)-.*step-\d{8,}")
_FILE = re.compile(r"[A-Za-z0-9_-]+\.(safetensors|json)")


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


def save(
    folder: Path, step: int, tensors: Tensors, state: dict[str, Any], *, keep: int, is_best: bool = False
) -> Path:
    """Write checkpoints/step-N and remove older ones. Raises DiskFull, and then nothing has changed."""
    return _write(folder, step, _taken(tensors, {}), json.dumps(state), keep, is_best)


def load_newest(folder: Path, tell: Callable[[str], None]) -> Loaded | None:
    """The newest checkpoint that is whole. None: there is none; training starts at the beginning."""
    damaged = 0
    for path in checkpoints(folder):
        try:
            loaded = load(path)
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


def load(path: Path) -> Loaded:
    """Read one checkpoint, after verifying it. Raises DamagedCheckpoint, which says what is wrong.

    The tensors are mapped from the file: copy what you keep.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    problems = verify(path)
    if problems:
        raise DamagedCheckpoint(
            f"{path} is damaged: {'; '.join(problems)}.", "Use an earlier checkpoint of the same run."
        )
    manifest = _manifest(path)
    try:
        tensors = {
            name.removesuffix(SUFFIX): load_file(path / name)
            for name in manifest["files"]
            if name.endswith(SUFFIX)
        }
        state = json.loads((path / STATE).read_bytes())
    except (SafetensorError, OSError, ValueError) as error:
        raise DamagedCheckpoint(
            f"{path} cannot be read: {error}.", "Use an earlier checkpoint of the same run."
        ) from None
    for group, names in manifest["same"].items():
        tensors[group] |= {name: tensors[group][first] for name, first in names.items()}
    return Loaded(path, manifest["step"], tensors, state)


def verify(path: Path) -> list[str]:
    """What is wrong with a checkpoint, a sentence each; nothing if every byte is as it was written."""
    try:
        manifest = _manifest(path)
    except ValueError as error:
        return [str(error)]
    problems = []
    for name, entry in manifest["files"].items():
        try:
            if (size := (path / name).stat().st_size) != entry["bytes"]:
                problems.append(f"{name} has {size} bytes instead of {entry['bytes']}")
            elif _sha256(path / name) != entry["sha256"]:
                problems.append(f"{name} has changed since it was written")
        except FileNotFoundError:
            problems.append(f"{name} is missing")
        except OSError as error:
            problems.append(f"{name} cannot be read ({error.strerror or error})")
    return problems


def best(folder: Path) -> Path | None:
    """The whole checkpoint with the lowest validation loss of its run so far."""
    return next((path for path in checkpoints(folder) if _is_best(path) and not verify(path)), None)


def checkpoints(folder: Path) -> list[Path]:
    """All of them, newest first, whole or not."""
    found = []
    if folder.is_dir():
        for path in folder.iterdir():
            if match := _CHECKPOINT.fullmatch(path.name):
                found.append((int(match[2]), match[1] is None, path))
    return [path for _, _, path in sorted(found, reverse=True)]


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

    def save(self, step: int, tensors: Tensors, state: dict[str, Any], *, is_best: bool = False) -> None:
        """Take a copy and return. Raises what went wrong with the save before."""
        began = time.perf_counter()
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


# --- writing ---------------------------------------------------------------------------------------------


def _write(folder: Path, step: int, copy: Snapshot, state: str, keep: int, is_best: bool) -> Path:
    if keep < 1 or step < 0:
        raise ValueError(f"keep = {keep} and step = {step}: at least 1 and 0 are needed")
    name = f"step-{step:08d}"
    target, aside, old = folder / name, folder / f".tmp-{name}", folder / f".old-{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        guards.require_space(folder, copy.nbytes)
        disk.make_folder(aside)
        _fill(aside, step, copy, state, is_best)
        if (
            target.exists()
        ):  # this step was saved before: make way, since no system replaces a folder by another
            disk.remove_all(old)
            disk.rename(target, old)
        disk.rename(aside, target)
        disk.sync_folder(folder)
    except (OSError, guards.DiskFull) as error:
        _sweep(folder)
        if isinstance(error, OSError):
            raise guards.disk_trouble(error, str(target)) from error
        raise
    _prune(folder, keep, target)
    return target


def _fill(aside: Path, step: int, copy: Snapshot, state: str, is_best: bool) -> None:
    """All files of a checkpoint, each safe on the disk before the next begins, the manifest last."""
    files = {}
    for group, tensors in copy.tensors.items():
        disk.write_tensors(aside / f"{group}{SUFFIX}", tensors)
        files[f"{group}{SUFFIX}"] = _synced(aside / f"{group}{SUFFIX}")
    disk.write_bytes(aside / STATE, state.encode())
    files[STATE] = _synced(aside / STATE)
    manifest = {"schema": SCHEMA, "step": step, "is_best": is_best, "files": files, "same": copy.same}
    manifest["sha256"] = _digest(manifest)
    disk.write_bytes(aside / MANIFEST, json.dumps(manifest, indent=1).encode())
    disk.sync(aside / MANIFEST)
    disk.sync_folder(aside)


def _synced(path: Path) -> dict[str, Any]:
    disk.sync(path)
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


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
    try:
        disk.rename(path, trash)
        disk.remove_all(trash)
    except OSError:
        pass  # Windows: somebody has a file of it open. The next save tries again


def _sweep(folder: Path) -> None:
    """Remove what a killed or failed save left."""
    for path in folder.iterdir():
        if _LEFTOVER.fullmatch(path.name):
            with contextlib.suppress(OSError):  # the check for space and the next save tell if that matters
                disk.remove_all(path)


def _taken(tensors: Tensors, buffers: Buffers) -> Snapshot:
    for group in tensors:
        if not _FILE.fullmatch(f"{group}{SUFFIX}"):
            raise ValueError(f"{group!r} cannot be a group of tensors: it names a file")
    return snapshot.take(tensors, buffers)


# --- reading ---------------------------------------------------------------------------------------------


def _manifest(path: Path) -> dict[str, Any]:
    """manifest.json, or ValueError with what is wrong with it."""
    try:
        text = (path / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{MANIFEST} is missing") from None
    except OSError as error:
        raise ValueError(f"{MANIFEST} cannot be read ({error.strerror or error})") from None
    try:
        manifest = json.loads(text)
        if manifest.pop("sha256") != _digest(manifest):
            raise ValueError
        if manifest["schema"] != SCHEMA or not all(_FILE.fullmatch(name) for name in manifest["files"]):
            raise ValueError
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ValueError(f"{MANIFEST} is not what was written") from None
    return dict(manifest)


def _is_best(path: Path) -> bool:
    try:
        return bool(_manifest(path)["is_best"])
    except ValueError:
        return False


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
