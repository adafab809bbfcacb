"""The reference's DPO against the closed form in the paper, and on a policy that can learn a preference."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

Load = Callable[[str], ModuleType]


class Table(nn.Module):
    """A model that looks at the last token only: its logits are a table. (B, T) -> (logits (B, T, V), None)."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size, dtype=torch.float64)

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        return self.table(ids), None


def test_the_gradient_is_the_one_in_the_paper(reference: Load) -> None:
    """-beta * sigmoid(rejected - chosen) * (grad log pi(chosen) - grad log pi(rejected)), in rewards."""
    dpo = reference("dpo")
    torch.manual_seed(0)
    policy, ref = Table(7), Table(7)
    ids = torch.randint(7, (1, 4))
    good, bad = torch.randint(7, (1, 4)), torch.randint(7, (1, 4))
    answers = [dpo.sequence_logprob(policy, ids, labels) for labels in (good, bad)]
    refs = [dpo.sequence_logprob(ref, ids, labels) for labels in (good, bad)]
    loss, metrics = dpo.dpo_loss(*answers, *refs, beta=0.3)
    (got,) = torch.autograd.grad(loss, list(policy.parameters()), retain_graph=True)
    (up,) = torch.autograd.grad(answers[0].sum(), list(policy.parameters()), retain_graph=True)
    (down,) = torch.autograd.grad(answers[1].sum(), list(policy.parameters()))
    pull = 0.3 / (1 + math.exp(metrics["reward_margin"]))
    torch.testing.assert_close(got, -pull * (up - down), rtol=1e-10, atol=1e-12)


def test_a_policy_learns_what_is_preferred(reference: Load) -> None:
    """After token 1 the answer 2 is preferred to 3. The reference stays where it was."""
    dpo = reference("dpo")
    torch.manual_seed(0)
    policy = Table(5)
    ref = dpo.freeze_copy(policy)
    ids, good, bad = torch.tensor([[1]]), torch.tensor([[2]]), torch.tensor([[3]])
    fixed = [dpo.sequence_logprob(ref, ids, labels) for labels in (good, bad)]
    optimizer = torch.optim.SGD(policy.parameters(), lr=5.0)
    losses, seen = [], {}
    for _ in range(200):
        answers = [dpo.sequence_logprob(policy, ids, labels) for labels in (good, bad)]
        loss, seen = dpo.dpo_loss(*answers, *fixed)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(2), abs=1e-12)
    assert losses[-1] < 0.4
    assert seen["accuracy"] == 1.0
    assert seen["reward_margin"] == pytest.approx(seen["reward_chosen"] - seen["reward_rejected"])
    again = [dpo.sequence_logprob(ref, ids, labels) for labels in (good, bad)]
    torch.testing.assert_close(again, fixed, rtol=0, atol=0)


@pytest.mark.parametrize("margin", [-1e6, -100.0, 0.0, 100.0, 1e6])
def test_the_loss_is_finite_everywhere(reference: Load, margin: float) -> None:
    chosen = torch.tensor([margin], requires_grad=True)
    zero = torch.zeros(1)
    loss, _ = reference("dpo").dpo_loss(chosen, zero, zero, zero, beta=1.0)
    loss.backward()
    assert loss.item() == pytest.approx(max(0.0, -margin) + math.log1p(math.exp(-abs(margin))))
    assert chosen.grad is not None
    assert bool(chosen.grad.isfinite().all())
