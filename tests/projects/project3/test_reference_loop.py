"""loop.py of the reference on a real GPT: against torch's own clipping, and a run that learns in both precisions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_gpts import project2_model

Load = Callable[[str], ModuleType]
COUNTING = np.arange(400, dtype=np.uint16) % 23


def small_gpt() -> torch.nn.Module:
    model = project2_model()
    torch.manual_seed(0)
    gpt: torch.nn.Module = model.GPT(model.GPTConfig(23, 2, 24, 3, max_seq_len=8))
    return gpt


@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 1e3])
def test_clipping_is_torchs(reference: Load, max_norm: float) -> None:
    gpt = small_gpt()
    x = torch.randint(23, (4, 8))
    gpt(x, x)[1].backward()
    twin = copy.deepcopy(gpt)
    for ours, theirs in zip(gpt.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        theirs.grad = ours.grad.clone()
    norm = reference("loop").clip_grad_norm(gpt.parameters(), max_norm)
    torch.testing.assert_close(norm, torch.nn.utils.clip_grad_norm_(twin.parameters(), max_norm))
    for ours, theirs in zip(gpt.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_any_split_of_a_batch_gives_its_gradient(reference: Load) -> None:
    loop = reference("loop")
    gpt = small_gpt().double()
    x, y = torch.randint(23, (7, 8)), torch.randint(23, (7, 8))
    y[torch.rand(7, 8) < 0.6] = -100
    loss = F.cross_entropy(gpt(x)[0].flatten(0, 1), y.flatten())
    want = torch.autograd.grad(loss, list(gpt.parameters()))
    for size in range(1, 8):
        gpt.zero_grad()
        got = loop.accumulate(gpt, list(zip(x.split(size), y.split(size), strict=True)))
        assert got == pytest.approx(loss.item(), abs=1e-12)
        for p, gradient in zip(gpt.parameters(), want, strict=True):
            torch.testing.assert_close(p.grad, gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gpt_learns_to_count(reference: Load, dtype: str) -> None:
    loop = reference("loop")
    gpt = small_gpt()
    heard: list[dict[str, Any]] = []
    config = loop.TrainConfig(
        60, 16, 8, 8, max_lr=2e-2, min_lr=2e-3, warmup_steps=5, dtype=dtype, eval_every=30, eval_batches=2
    )
    result = loop.train(config, gpt, COUNTING, COUNTING, callbacks=[heard.append])
    assert result.losses[0] == pytest.approx(np.log(23), abs=0.3)
    assert result.val_losses[60] < 0.3 < result.val_losses[30] + 0.3
    assert [row["step"] for row in heard] == list(range(60))
    assert all(p.dtype is torch.float32 for p in gpt.parameters())


def test_a_run_does_not_depend_on_the_micro_batches(reference: Load) -> None:
    loop = reference("loop")
    losses = []
    for size in (12, 5, 1):
        config = loop.TrainConfig(10, 12, size, 8, max_lr=1e-2, min_lr=1e-3)
        losses.append(loop.train(config, small_gpt(), COUNTING, COUNTING).losses)
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert losses[2] == pytest.approx(losses[0], abs=1e-4)
