"""What tests ask of a job that ran."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
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


def stop_at(step: int) -> Callable[..., None]:
    def hear(event: dict[str, Any], stop: Any) -> None:
        if event["event"] == "step" and event["step"] == step:
            stop.request("the test")

    return hear


def worker(folder: RunFolder, processes: int = 1, stop_after: int = 0) -> subprocess.CompletedProcess[str]:
    """The job in a process of its own, or in several under torchrun. `stop_after` this step SIGTERM is sent."""
    command, environment = launch.command(folder, processes), launch.environment(processes, 1)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = ""
        for line in process.stdout:
            said += line
            if stop_after and f'"step": {stop_after},' in line:
                process.terminate()
                stop_after = 0
        trouble = process.stderr.read()
    return subprocess.CompletedProcess(command, process.returncode, said, trouble)


def events_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def rows_of(folder: RunFolder) -> list[dict[str, Any]]:
    """The metrics without what depends on the clock."""
    clock = ("seconds", "tokens_per_second", "utilisation")
    return [{k: v for k, v in row.items() if k not in clock} for row in folder.read_metrics()]


def start_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The event that says what is about to be trained."""
    return next(event for event in events if event["event"] == "start")
