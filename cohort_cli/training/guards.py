"""What stops a run before it wastes hours: numbers that are no numbers, a full disk, too little memory.

Each becomes a TrainingStopped (exit code 7) whose `repair` says what to change. The last good checkpoint stays as it
is: the loop calls `require_finite` before it changes a weight. No torch: `runs` uses this too.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from cohort_cli.errors import CohortError, DataTrouble
from cohort_cli.training import disk

ROOM = 1.02  # a save needs its bytes and a little for the file system's own tables
SMALL = 1_000_000  # bytes that are always asked for: manifest, state and logs


# torch's CPU allocator raises a plain RuntimeError, on Windows with other words
_NO_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")


class TrainingStopped(CohortError):
    exit_code = 7


class NotFinite(TrainingStopped):
    """A loss or a gradient is infinite or not a number."""


class DiskTrouble(TrainingStopped):
    """A file of the run cannot be written."""


class OutOfMemory(TrainingStopped):
    """The device or the machine has too little memory for one micro-batch."""


def require_finite(what: str, value: float, step: int, saved: Path | None = None) -> None:
    """Raise NotFinite unless `value` is a number that training can go on with.

    saved: the checkpoint of exactly the weights that gave it, if there is one. Going on from there would end the same.
    """
    if not math.isfinite(value):
        first = "" if saved is None else f"Remove {saved}, whose weights are broken already. "
        raise NotFinite(
            f"The {what} of step {step} is {value}. Training stopped before this step changed a weight.",
            f"{first}Lower the learning rate or warm up longer, then go on from the last checkpoint: "
            "--resume --set optimizer.learning_rate=…",
        )


def require_space(folder: Path, needed: int) -> None:
    """Raise DiskTrouble unless the disk of `folder` has `needed` bytes (and a little) left."""
    wanted = int(needed * ROOM) + SMALL
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise DiskTrouble(
            f"{folder} has {size(free)} left; a checkpoint needs {size(wanted)}. The earlier ones are untouched.",
            "Delete old runs or other files, then run the same command again: it goes on from the last one.",
        )


def disk_trouble(error: OSError, what: str) -> DiskTrouble:
    """The error that a user should see when `what` could not be written."""
    if disk.is_full(error):
        repair = "Delete old runs or other files, then run the same command again."
        return DiskTrouble(f"{what} cannot be written: the disk is full.", repair)
    return DiskTrouble(
        f"{what} cannot be written: {error.strerror or error}.",
        "Look at the folder's permissions and at the disk, then run the same command again.",
    )


def understand(error: BaseException, step: int) -> CohortError | None:
    """The trouble that a user can repair behind a library's exception at this step, or None."""
    if isinstance(error, CohortError):
        return error
    if is_out_of_memory(error):
        first_line = str(error).partition("\n")[0] or type(error).__name__
        return OutOfMemory(
            f"The memory was not enough for a micro-batch after step {step}: {first_line}",
            "Halve it with --set batch.micro_sequences=… (the gradients add up to the same step), or use "
            "--set hardware.activation_checkpointing=true.",
        )
    if isinstance(error, IndexError) and "out of range in self" in str(error):  # torch's embedding
        return DataTrouble(
            "The data has an id that the model does not know.", "See whether it is whole: cohort data verify"
        )
    if isinstance(error, OSError) and disk.is_full(error):
        return disk_trouble(error, str(error.filename or "A file"))
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """On a GPU torch raises a class of its own, torch.OutOfMemoryError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _NO_MEMORY)


def size(count: float) -> str:
    """Bytes for people: 1.5 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
