"""loss.py of the reference, against torch's own cross-entropy and with Project 2's GPT."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from small_gpts import project2_model
from torch import Tensor

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_it_is_torchs_cross_entropy(reference: Load, dtype: torch.dtype, scale: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 6, 50, dtype=dtype) * scale
    targets = torch.randint(50, (4, 6))
    targets[torch.rand(4, 6) < 0.3] = -100
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = reference("loss").cross_entropy(ours, targets)
    want = F.cross_entropy(theirs.flatten(0, 1), targets.flatten())
    loss.backward()
    want.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, want)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_its_gradient_is_the_one_of_finite_differences(reference: Load) -> None:
    torch.manual_seed(0)
    cross_entropy = reference("loss").cross_entropy
    logits = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([1, -100, 4])
    assert torch.autograd.gradcheck(lambda z: cross_entropy(z, targets), (logits,))


def test_guessing_has_a_perplexity_of_v_and_eight_bits_per_byte(reference: Load) -> None:
    loss = reference("loss")
    nats = float(loss.cross_entropy(torch.zeros(10, 256), torch.arange(10)))
    assert nats == pytest.approx(loss.expected_initial_loss(256))
    assert loss.perplexity(nats) == pytest.approx(256)
    assert loss.bits_per_byte(nats, 10, 10) == pytest.approx(8)
    assert loss.bits_per_byte(nats, 10, 20) == pytest.approx(4)


def small_gpt(dropout: float = 0.0) -> torch.nn.Module:
    model = project2_model()
    torch.manual_seed(0)
    gpt: torch.nn.Module = model.GPT(model.GPTConfig(40, 2, 16, 2, max_seq_len=12, dropout=dropout))
    return gpt


def batch(length: int, hidden: int) -> tuple[Tensor, Tensor]:
    x, y = torch.randint(40, (3, length)), torch.randint(40, (3, length))
    y.view(-1)[:hidden] = -1
    return x, y


def test_an_untrained_gpt_is_plausible_and_one_with_large_weights_is_not(reference: Load) -> None:
    loss, gpt = reference("loss"), small_gpt()
    first = loss.estimate_loss(gpt, [batch(12, 0) for _ in range(5)], 5)["loss"]
    assert loss.initial_loss_is_plausible(first, 40)
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter *= 20
    first = loss.estimate_loss(gpt, [batch(12, 0) for _ in range(5)], 5)["loss"]
    assert not loss.initial_loss_is_plausible(first, 40)


def test_the_estimate_of_a_gpt_with_dropout_is_its_loss_over_all_tokens_at_once(reference: Load) -> None:
    torch.manual_seed(1)
    batches = [batch(12, 30), batch(5, 0), batch(8, 1)]
    gpt = small_gpt(dropout=0.3).train()
    result = reference("loss").estimate_loss(gpt, iter(batches), 100)
    assert gpt.training
    gpt.eval()
    total, tokens = 0.0, 0
    for x, y in batches:
        each = F.cross_entropy(gpt(x)[0].flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum")
        total, tokens = total + each.item(), tokens + int((y != -1).sum())
    assert result["loss"] == pytest.approx(total / tokens, rel=1e-6)
    assert result["perplexity"] == pytest.approx(math.exp(total / tokens), rel=1e-5)
    assert result["tokens"] == tokens == 44
