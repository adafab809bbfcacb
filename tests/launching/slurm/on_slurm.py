"""What the tests on Slurm share: waiting for a job, and what it said."""

from __future__ import annotations

import time
from collections.abc import Callable

from cohort_cli.launching.place import Handle
from cohort_cli.launching.slurm import Slurm
from cohort_cli.training.runs import RunFolder

Sent = tuple[RunFolder, Handle, Slurm]
Send = Callable[..., Sent]


def wait(sent: Sent, seconds: float = 120) -> str:
    """Until the job is gone. Returns what Slurm says of it."""
    folder, handle, place = sent
    end = time.monotonic() + seconds
    while (found := place.status(handle)).state != "gone":
        assert time.monotonic() < end, f"{folder.root.name} is still {found}: {said(folder)}"
        time.sleep(0.2)
    return found.says


def wait_for_step(sent: Sent, step: int, seconds: float = 60) -> None:
    """Until a checkpoint of this step is saved."""
    folder, handle, place = sent
    end = time.monotonic() + seconds
    while folder.read_status().step < step:
        assert time.monotonic() < end, f"{folder.root.name} does not get to step {step}: {said(folder)}"
        assert place.status(handle).state != "gone", said(folder)
        time.sleep(0.05)


def said(folder: RunFolder) -> str:
    names = ("slurm.out", "log.txt", "status.json", "restarts.json")
    return "\n".join(
        f"--- {name}\n{(folder.root / name).read_text()}" for name in names if (folder.root / name).exists()
    )


def starts(folder: RunFolder) -> int:
    """How often Slurm has started it."""
    return (folder.root / "slurm.out").read_text().count(", start ")
