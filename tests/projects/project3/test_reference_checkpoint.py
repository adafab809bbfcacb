"""checkpoint.py of the reference: killed for real in the middle of saves, and read by safetensors itself."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from small_gpts import project2_model
from torch import nn

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]

SAVER = """
import sys, torch
from checkpoint import save_checkpoint, random_state
from torch import nn
model = nn.Linear(300, 300)
optimizer = torch.optim.AdamW(model.parameters())
model(torch.randn(1, 300)).sum().backward()
optimizer.step()
for step in range(10**9):
    with torch.no_grad():
        model.weight.fill_(step)
    words = {"step": step, "rng": random_state(), "config": {}, "data_state": {}}
    save_checkpoint(sys.argv[1], model=model, optimizer=optimizer, **words)
    print(step, flush=True)
"""


def gpt_run() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = project2_model()
    gpt = model.GPT(model.GPTConfig(23, 2, 12, 3, max_seq_len=8, dropout=0.1))
    return gpt, torch.optim.AdamW(gpt.parameters(), lr=1e-2, amsgrad=True)


def go(gpt: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        idx = torch.randint(23, (4, 9))
        optimizer.zero_grad()
        gpt(idx[:, :-1], idx[:, 1:])[1].backward()
        optimizer.step()


def save(
    checkpoint: ModuleType, path: Path, gpt: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    words: dict[str, Any] = {"config": {"seed": 1}, "data_state": {"position": [3, 4]}}
    checkpoint.save_checkpoint(
        path, model=gpt, optimizer=optimizer, step=step, rng=checkpoint.random_state(), **words
    )


def test_a_gpt_goes_on_bit_for_bit(reference: Load, tmp_path: Path) -> None:
    checkpoint = reference("checkpoint")
    torch.manual_seed(3)
    gpt, optimizer = gpt_run()
    go(gpt, optimizer, 5)
    save(checkpoint, tmp_path / "run", gpt, optimizer, 5)
    go(gpt, optimizer, 5)
    torch.manual_seed(4)
    again, fresh = gpt_run()
    found = checkpoint.load_checkpoint(tmp_path / "run", model=again, optimizer=fresh)
    checkpoint.restore_random_state(found["rng"])
    go(again, fresh, 5)
    assert {key: found[key] for key in ("step", "config", "data_state")} == {
        "step": 5,
        "config": {"seed": 1},
        "data_state": {"position": [3, 4]},
    }
    for ours, theirs in zip(again.state_dict().values(), gpt.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adagrad, torch.optim.RAdam])
def test_other_optimizers_come_back_too(reference: Load, tmp_path: Path, make: Any) -> None:
    checkpoint = reference("checkpoint")
    model = nn.Linear(3, 2)
    optimizer = make(model.parameters(), lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    save(checkpoint, tmp_path / "run", model, optimizer, 1)
    fresh = make(model.parameters(), lr=0.2)
    checkpoint.load_checkpoint(tmp_path / "run", model=model, optimizer=fresh)
    assert str(fresh.state_dict()) == str(optimizer.state_dict())


def test_the_file_is_safetensors_with_a_checksum_behind_it(reference: Load, tmp_path: Path) -> None:
    gpt, optimizer = gpt_run()
    save(reference("checkpoint"), tmp_path / "run", gpt, optimizer, 0)
    tensors = safetensors.torch.load((tmp_path / "run").read_bytes()[:-32])
    sizes = sorted(p.numel() for p in gpt.parameters())  # the tied head is there once
    ours = sorted(t.numel() for t in tensors.values() if t.dtype is torch.float32)
    assert ours == sizes


def test_random_numbers_go_on_in_the_middle_of_a_pair(reference: Load) -> None:
    checkpoint = reference("checkpoint")
    random.gauss(0, 1), np.random.standard_normal(), torch.randn(1)
    state = checkpoint.random_state()
    want = random.gauss(0, 1), np.random.standard_normal(), torch.randn(3).tolist()
    checkpoint.restore_random_state(state)
    assert (random.gauss(0, 1), np.random.standard_normal(), torch.randn(3).tolist()) == want


@pytest.mark.slow
def test_a_killed_process_leaves_a_whole_checkpoint(
    reference: Load, project: Project, tmp_path: Path
) -> None:
    """A process that does nothing but save is killed at six moments. What it had reported is never lost."""
    checkpoint = reference("checkpoint")
    model, path = nn.Linear(300, 300), tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(project.reference), "OMP_NUM_THREADS": "1"}
    for trial in range(6):
        saver = subprocess.Popen(
            [sys.executable, "-B", "-c", SAVER, str(path)], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert saver.stdout is not None
        reported = int(saver.stdout.readline())
        time.sleep(0.03 + 0.013 * trial)
        saver.kill()
        rest = saver.stdout.read().split("\n")[:-1]  # a torn last line does not count
        saver.wait()
        reported = int(rest[-1]) if rest else reported
        step = checkpoint.load_checkpoint(path, model=model)["step"]
        assert step in (reported, reported + 1)
        assert torch.equal(model.weight.detach(), torch.full((300, 300), float(step)))
