"""schedule.py of the reference: GPT-2's groups, and torch's own schedulers as the oracle."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from small_gpts import project2_model

Load = Callable[[str], ModuleType]


def test_gpt2_small_has_nanogpts_two_groups(reference: Load) -> None:
    """50 tensors with 124,318,464 numbers decay, 98 tensors with 121,344 numbers do not."""
    model = project2_model()
    with torch.device("meta"):
        gpt = model.GPT(model.GPTConfig(50257, 12, 768, 12, max_seq_len=1024))
    optimizer = reference("schedule").configure_optimizers(gpt, lr=6e-4)
    seen = {
        group["weight_decay"]: (len(group["params"]), sum(p.numel() for p in group["params"]))
        for group in optimizer.param_groups
    }
    assert seen == {0.1: (50, 124_318_464), 0.0: (98, 121_344)}


@pytest.mark.parametrize("fused", [None, False, True])
def test_fused_changes_the_speed_and_not_the_values(reference: Load, fused: bool | None) -> None:
    results = []
    for choice in (None, fused):
        torch.manual_seed(0)
        layer = torch.nn.Linear(5, 3).double()
        optimizer = reference("schedule").configure_optimizers(layer, lr=0.01, fused=choice)
        for _ in range(5):
            optimizer.zero_grad()
            layer(torch.randn(7, 5).double()).square().sum().backward()
            optimizer.step()
        results.append(torch.cat([p.detach().flatten() for p in layer.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)


def test_the_rates_are_those_of_torchs_schedulers(reference: Load) -> None:
    """LinearLR gives max_lr * (step + 1) / warmup for warmup - 1 steps, and CosineAnnealingLR what comes after it."""
    max_lr, min_lr, warmup, steps = 0.03, 0.004, 8, 50
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=max_lr)
    climb = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warmup, 1.0, total_iters=warmup - 1)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - warmup, eta_min=min_lr)
    both = torch.optim.lr_scheduler.SequentialLR(optimizer, [climb, fall], milestones=[warmup])
    lr_at = reference("schedule").lr_at
    for step in range(steps + 1):
        ours = lr_at(step, max_lr=max_lr, min_lr=min_lr, warmup_steps=warmup, max_steps=steps)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12), step
        optimizer.step()
        both.step()


@pytest.mark.parametrize("warmup_steps", [0, 1, 10, 99, 100])
def test_the_rate_is_highest_once_and_never_leaves_its_bounds(reference: Load, warmup_steps: int) -> None:
    lr_at = reference("schedule").lr_at
    options = {"max_lr": 1.0, "min_lr": 0.1, "warmup_steps": warmup_steps, "max_steps": 100}
    rates = [lr_at(step, **options) for step in range(300)]
    assert max(rates) == 1.0
    assert all(a < b for a, b in itertools.pairwise(rates[:warmup_steps]))
    assert all(a >= b for a, b in itertools.pairwise(rates[warmup_steps:]))
    assert rates[100:] == [0.1] * 200
