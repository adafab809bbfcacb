"""The reference's pre-training beside torch's own schedulers and a plain loop; its baseline beside a dense table."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import pytest
import torch

Load = Callable[[str], ModuleType]


def test_the_baseline_is_that_of_a_dense_table(reference: Load) -> None:
    train, held_out = torch.randint(5, (300,)), torch.randint(7, (80,))
    table = torch.full((7, 7), 0.3, dtype=torch.float64)
    table.index_put_((train[:-1], train[1:]), torch.ones(299, dtype=torch.float64), accumulate=True)
    chances = table / table.sum(1, keepdim=True)
    want = -chances[held_out[:-1], held_out[1:]].log().mean()
    got = reference("pretrain").bigram_loss(train, held_out, 7, alpha=0.3)
    assert got == pytest.approx(float(want), abs=1e-12)


def test_a_text_of_chance_costs_the_logarithm_of_its_vocabulary(reference: Load) -> None:
    train, held_out = torch.randint(6, (100_000,)), torch.randint(6, (20_000,))
    assert reference("pretrain").bigram_loss(train, held_out, 6) == pytest.approx(math.log(6), abs=0.01)


@pytest.mark.parametrize("warmup", [0, 1, 4])
def test_the_schedule_is_that_of_torchs_schedulers(reference: Load, warmup: int) -> None:
    from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    fall = CosineAnnealingLR(optimizer, 11 - warmup, eta_min=0.1)
    rise = [LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)] if warmup > 1 else []
    # torch's cosine is stepped from its start, so a warm-up of one step is the highest rate, held once more.
    schedule = SequentialLR(optimizer, [*rise, fall], [warmup]) if rise else fall
    shares = [reference("pretrain")._share(step, warmup, 12) for step in range(12)]
    held = 1 if warmup == 1 else 0
    assert shares[0] == (1 / warmup if warmup else 1.0)
    for share in shares[held:]:
        assert share == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        schedule.step()
    assert shares[-1] == pytest.approx(0.1)


def test_one_micro_batch_or_four_make_the_same_gpt(reference: Load) -> None:
    """A generator draws the same starts one after the other, in whatever portions."""
    gpt, pretrain = reference("gpt"), reference("pretrain")
    config = gpt.GPTConfig(block_size=6, vocab_size=9, n_layer=2, n_head=2, n_embd=8)
    ids, ends = torch.randint(9, (200,)), []
    for sequences in (8, 2):
        torch.manual_seed(3)
        model = gpt.GPT(config).double()
        generator = torch.Generator().manual_seed(5)
        words = {"steps": 5, "batch_tokens": 48, "learning_rate": 0.01, "warmup_steps": 2}
        losses = pretrain.pretrain(model, ids, micro_sequences=sequences, generator=generator, **words)
        ends.append((losses, torch.cat([p.detach().flatten() for p in model.parameters()])))
    assert ends[0][0] == pytest.approx(ends[1][0], abs=1e-12)
    # The bias of the keys has a gradient of zero but for rounding, which Adam makes as large as any other.
    close = (ends[0][1] - ends[1][1]).abs() < 1e-9
    assert close.double().mean() > 0.95
