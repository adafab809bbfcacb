"""The reference's rewards and losses against sums over all answers that there are, and a lab that does what it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]


@pytest.fixture
def rlhf(reference: Load) -> ModuleType:
    return reference("rlhf")


def test_the_preference_loss_is_that_of_a_coin(rlhf: ModuleType) -> None:
    """A rater who prefers the first answer is a logistic regression whose target is always 1."""
    chosen, rejected = torch.randn(2, 6, dtype=torch.float64)
    want = F.binary_cross_entropy_with_logits(chosen - rejected, torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(rlhf.reward_loss(chosen, rejected), want)


def test_the_logprobs_of_all_answers_sum_to_one(rlhf: ModuleType) -> None:
    """Over all 9 answers of two tokens after one prompt: probabilities, so they add up."""
    table = torch.randn(3, 3, dtype=torch.float64)
    answers = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    tokens = F.pad(answers, (1, 0), value=1)
    mask = torch.tensor([False, True, True]).expand(tokens.shape)
    logprobs = rlhf.sequence_logprobs(table[tokens], tokens, mask)
    assert logprobs.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_both_estimators_have_the_true_kl_as_their_mean(rlhf: ModuleType, estimator: str) -> None:
    policy, ref = torch.randn(2, 5, dtype=torch.float64).log_softmax(-1)
    mask = torch.ones(5, 1).bool()
    each = rlhf.kl_penalty(policy[:, None], ref[:, None], mask, estimator=estimator)
    true = F.kl_div(ref, policy, log_target=True, reduction="sum")
    torch.testing.assert_close((policy.exp() * each).sum(), true)
    assert estimator == "k1" or bool((each >= 0).all())


def test_k1_as_a_loss_has_no_mean_gradient_and_k3_has_one(rlhf: ModuleType) -> None:
    """What the guide says: the expected gradient of k1 is 0; that of k3 is 0 only where the two agree."""
    logits = torch.randn(4, dtype=torch.float64, requires_grad=True)
    ref = torch.randn(4, dtype=torch.float64).log_softmax(-1)
    chances = logits.softmax(-1).detach()
    sizes = {}
    for estimator in ("k1", "k3"):
        each = rlhf.kl_penalty(
            logits.log_softmax(-1)[:, None], ref[:, None], torch.ones(4, 1).bool(), estimator=estimator
        )
        (gradient,) = torch.autograd.grad((chances * each).sum(), logits)
        sizes[estimator] = gradient.abs().max().item()
    assert sizes["k1"] < 1e-12
    assert sizes["k3"] > 1e-3


@pytest.mark.parametrize("baseline", ["none", "mean", "leave_one_out"])
def test_the_mean_gradient_is_that_of_the_expected_reward(rlhf: ModuleType, baseline: str) -> None:
    """Over all 9 batches of two answers out of three, each with its probability; `mean` scales by (B - 1) / B."""
    logits = torch.randn(3, dtype=torch.float64, requires_grad=True)
    rewards = torch.randn(3, dtype=torch.float64)
    expected = (logits.softmax(-1) * rewards).sum()
    (want,) = torch.autograd.grad(-expected, logits)
    total = torch.zeros(3, dtype=torch.float64)
    for pair in torch.cartesian_prod(torch.arange(3), torch.arange(3)):
        logprobs = logits.log_softmax(-1)[pair]
        loss = rlhf.reinforce_loss(logprobs, rewards[pair], baseline=baseline)
        (gradient,) = torch.autograd.grad(loss, logits)
        total += logprobs.sum().exp().detach() * gradient
    torch.testing.assert_close(total, want / 2 if baseline == "mean" else want)


def test_advantages_have_mean_0_and_mean_square_1(rlhf: ModuleType) -> None:
    advantages = rlhf.group_advantages(torch.randn(5, 7, dtype=torch.float64) * 3 + 2)
    torch.testing.assert_close(advantages.mean(-1), torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(advantages.square().mean(-1), torch.ones(5, dtype=torch.float64))
    assert rlhf.group_advantages(torch.full((1, 7), 0.1)).tolist() == [[0.0] * 7]


def test_the_first_clipped_step_is_reinforce(rlhf: ModuleType) -> None:
    """At r = 1 nothing is clipped: the gradient is REINFORCE's, over the length of each answer."""
    now = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    gains = torch.randn(4, dtype=torch.float64)
    mask = torch.tensor([False, False, True, True, True]).expand(4, 5)
    (got,) = torch.autograd.grad(rlhf.clipped_loss(now, now, gains, mask), now)
    loss = rlhf.reinforce_loss((now * mask).sum(-1) / 3, gains, baseline="none")
    (want,) = torch.autograd.grad(loss, now)
    torch.testing.assert_close(got, want)


def test_the_lab_learns_what_is_right_and_what_only_pays(rlhf: ModuleType) -> None:
    start = rlhf.imitate(0)
    torch.manual_seed(0)
    before, thanks, kl = rlhf.measure(start, start)
    assert 0.3 < before < 0.6
    assert 0.08 < thanks < 0.16
    assert kl == 0.0
    right = rlhf.learn(start, "grpo", "right", 0.0, 0, 50)[0]
    assert right > before + 0.15
    true, proxy, far = rlhf.learn(start, "leave_one_out", "thanks", 0.0, 0, 60)
    assert (true < 0.05, proxy > 0.8, far > 5.0) == (True, True, True)
    true, proxy, near = rlhf.learn(start, "leave_one_out", "thanks", 0.2, 0, 60)
    assert (true > before - 0.15, thanks < proxy < 0.4, near < 1.0) == (True, True, True)


def test_the_numbers_by_hand_are_right(rlhf: ModuleType, project: Project) -> None:
    """Each is worked out again, and must stand in the guide as it is rounded there."""
    guide = project.guide.read_text(encoding="utf-8")
    said = [f"$-\\ln \\sigma(1.2 - 0.4) = \\ln(1 + e^{{-0.8}}) = {math.log1p(math.exp(-0.8)):.3f}$"]

    def short(values: Tensor | list[float]) -> str:
        return " | ".join(f"{float(v):.3f}".rstrip("0").rstrip(".") for v in values)

    rewards = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    for words, values in (
        ("minus the mean of all, 0.25", rewards - 0.25),
        ("minus the mean of the others", rewards - (1 - rewards) / 3),
        ("minus the mean, over the standard deviation 0.433", rlhf.group_advantages(rewards[None])[0]),
    ):
        said.append(f"| {words} | {short(values)} |")
    for gain in (1.0, -1.0):
        for ratio in (0.5, 1.5):
            clipped = min(max(ratio, 0.8), 1.2) * gain
            cells = [gain, ratio, ratio * gain, clipped, min(ratio * gain, clipped)]
            said.append(f"| {short(cells)} | {'yes' if ratio * gain < clipped else 'no'}")
    sums = torch.zeros(2)
    for policy, ref in ((0.5, 0.25), (0.2, 0.4), (0.9, 0.9)):
        d = math.log(ref / policy)
        k1, k3 = 0.0 - d, math.exp(d) - 1 - d
        sums += torch.tensor([k1, k3])
        said.append(f"| {short([policy, ref, d, k1, k3])} |")
    said.append(f"| sum | | | {sums[0].abs().item():.0f} | {sums[1]:.1f} |")
    assert [words for words in said if words not in guide] == []
