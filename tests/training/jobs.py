"""What tests ask of a job that ran."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import torch

from cohort_cli.training import checkpoint, launch
from cohort_cli.training.runs import RunFolder


def state_of(folder: RunFolder) -> tuple[int, dict[str, torch.Tensor]]:
    """(step, every tensor) of the newest checkpoint."""
    loaded = checkpoint.load_newest(folder.checkpoints, pytest.fail)
    assert loaded is not None
    flat = {f"{group}:{name}": t for group, named in loaded.tensors.items() for name, t in named.items()}
    return loaded.step, flat


def assert_same(a: RunFolder, b: RunFolder) -> None:
    """Both ended with the same bits, and with the same rows on the way."""
    (step_a, tensors_a), (step_b, tensors_b) = state_of(a), state_of(b)
    assert step_a == step_b
    assert tensors_a.keys() == tensors_b.keys()
    for name, tensor in tensors_a.items():
        assert torch.equal(tensor, tensors_b[name]), name
    assert rows_of(a) == rows_of(b)
    assert a.read_samples() == b.read_samples()


def worker(folder: RunFolder, processes: int = 1, **variables: str) -> subprocess.CompletedProcess[str]:
    """The job in a process of its own, or in several under torchrun."""
    return subprocess.run(
        launch.command(folder, processes),
        env={**launch.environment(processes, 1), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def events_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def rows_of(folder: RunFolder) -> list[dict[str, Any]]:
    """The metrics without what depends on the clock."""
    clock = ("seconds", "tokens_per_second", "utilisation")
    return [{k: v for k, v in row.items() if k not in clock} for row in folder.read_metrics()]
