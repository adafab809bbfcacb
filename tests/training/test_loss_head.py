"""The chunked loss is F.cross_entropy: the same value, the same gradients, and never all logits at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cohort_cli.training.models import linear
from cohort_cli.training.models.loss import linear_cross_entropy

N, C, V, ROWS = 50, 12, 31, 16  # N is no multiple of ROWS


def data(dtype: torch.dtype = torch.float32, vocab: int = V) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, N // 2, C, generator=generator, dtype=dtype)
    weight = torch.randn(vocab, C, generator=generator, dtype=dtype)
    targets = torch.randint(vocab, (2, N // 2), generator=generator)
    return x.requires_grad_(), weight.requires_grad_(), targets


def torch_says(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    logits = F.linear(x, weight).float() if x.dtype != torch.float64 else F.linear(x, weight)
    return F.cross_entropy(logits.flatten(0, 1), targets.clamp(min=-1).flatten(), ignore_index=-1)


def gradients(
    loss: Callable[..., Tensor], x: Tensor, weight: Tensor, targets: Tensor, *more: Any
) -> list[Tensor]:
    """The loss and its gradients with respect to x and weight."""
    value = loss(x, weight, targets, *more)
    return [value.detach(), *torch.autograd.grad(value, (x, weight))]


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("rows", [1, ROWS, N, 512])
@pytest.mark.parametrize("ignored", ["none", "some", "most"])
def test_value_and_gradients_are_those_of_torch(
    rows: int, ignored: str, onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if onednn and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(linear, "onednn_is_faster", lambda: onednn)
    x, weight, targets = data()
    if ignored == "some":
        targets[0, ::3], targets[1, 5] = -1, -100  # both customs
    if ignored == "most":
        targets[:, 1:] = -1
    for ours, theirs in zip(
        gradients(linear_cross_entropy, x, weight, targets, rows),
        gradients(torch_says, x, weight, targets),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    x, weight, targets = data(torch.float64)
    targets[1, 3] = -1
    grads = gradients(lambda *given: 3 * linear_cross_entropy(*given), x, weight, targets, ROWS)[1:]
    for number, gradient in enumerate(grads):
        direction, values = torch.randn_like(gradient), []
        for step in (1e-5, -1e-5):
            moved = [x.detach(), weight.detach()]
            moved[number] = moved[number] + step * direction
            values.append(3 * linear_cross_entropy(*moved, targets, ROWS))
        slope = (values[0] - values[1]) / 2e-5
        torch.testing.assert_close(slope, (gradient * direction).sum(), rtol=1e-7, atol=1e-9)


def test_a_second_backward_says_what_is_wrong() -> None:
    loss = linear_cross_entropy(*data())
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="call it again"):
        loss.backward()


def test_bfloat16_autocast_is_as_exact_as_torch_is_there() -> None:
    x, weight, targets = data()
    targets[0, 4] = -1
    exact = gradients(torch_says, x, weight, targets)
    with torch.autocast("cpu", torch.bfloat16):
        ours = gradients(linear_cross_entropy, x, weight, targets, ROWS)
        theirs = gradients(torch_says, x, weight, targets)
    assert [g.dtype for g in ours] == [torch.float32] * 3
    for mine, other, truth in zip(ours, theirs, exact, strict=True):
        assert (mine - truth).abs().max() <= 1.5 * (other - truth).abs().max() + 1e-3 * truth.abs().max()
    assert (ours[2] - exact[2]).abs().max() > 1e-4 * exact[2].abs().max()  # it was bfloat16


def test_bfloat16_weights_get_bfloat16_gradients_whose_sum_was_made_in_float32() -> None:
    """With many chunks, adding up in bfloat16 would lose the small ones."""
    generator = torch.Generator().manual_seed(1)
    x = torch.ones(4096, 1, dtype=torch.bfloat16)
    weight = torch.zeros(2, 1, dtype=torch.bfloat16).requires_grad_()
    targets = (torch.rand(4096, generator=generator) < 0.3).long()
    linear_cross_entropy(x, weight, targets, 4).backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.bfloat16
    share = targets.float().mean()
    torch.testing.assert_close(weight.grad[1, 0].float(), 0.5 - share, rtol=0.01, atol=0)


def test_all_targets_ignored_is_a_loss_of_zero_with_a_gradient_of_zero() -> None:
    x, weight, targets = data()
    loss, grad_x, grad_weight = gradients(linear_cross_entropy, x, weight, torch.full_like(targets, -100))
    assert loss == 0
    assert not grad_x.any()
    assert not grad_weight.any()


def test_tied_weights_get_both_gradients() -> None:
    """One matrix as embedding and as head."""
    _, weight, targets = data()
    ids = targets.roll(1)

    def through(loss: Callable[..., Tensor]) -> Tensor:
        (grad,) = torch.autograd.grad(loss(F.embedding(ids, weight), weight, targets), weight)
        return grad

    torch.testing.assert_close(through(linear_cross_entropy), through(torch_says), rtol=1e-5, atol=1e-6)


def test_a_share_of_the_loss_has_that_share_of_the_gradient() -> None:
    """As when micro-batches are added up."""
    x, weight, targets = data()
    once = gradients(linear_cross_entropy, x, weight, targets)[1:]
    for _ in range(4):
        (linear_cross_entropy(x, weight, targets, ROWS) / 4).backward()
    torch.testing.assert_close([x.grad, weight.grad], once, rtol=1e-5, atol=1e-6)


def test_a_frozen_head_gets_no_gradient_but_passes_one_on() -> None:
    x, weight, targets = data()
    expected = gradients(torch_says, x, weight, targets)[1]
    weight.requires_grad_(False)
    linear_cross_entropy(x, weight, targets, ROWS).backward()
    assert weight.grad is None
    torch.testing.assert_close(x.grad, expected, rtol=1e-5, atol=1e-6)


class Largest(TorchDispatchMode):
    """Watches the operations, and how many numbers the largest tensor has that any of them makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numel, self.names = 0, set[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        self.numel = max(self.numel, *(t.numel() for t in tensors), 0) if tensors else self.numel
        self.names.add(func.overloadpacket.__name__)
        return out


def test_the_logits_are_never_whole() -> None:
    x, weight, targets = data(vocab=200)
    with Largest() as whole:
        gradients(torch_says, x, weight, targets)
    assert whole.numel == N * 200  # this test sees what it is about
    with Largest() as chunked:
        gradients(linear_cross_entropy, x, weight, targets, 16)
    assert chunked.numel == 16 * 200
    with torch.no_grad(), Largest() as default:
        linear_cross_entropy(torch.zeros(4000, C), weight, torch.zeros(4000).long())
    assert default.numel == 256 * 200


def test_without_gradients_only_the_loss_is_made() -> None:
    x, weight, targets = data()
    expected = torch_says(x, weight, targets)
    with Largest() as training:
        linear_cross_entropy(x, weight, targets, ROWS)
    with torch.no_grad(), Largest() as evaluating:
        loss = linear_cross_entropy(x, weight, targets, ROWS)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-6, atol=0)
    assert {"exp_", "scatter_add_"} <= training.names
    assert not {"exp_", "scatter_add_"} & evaluating.names


def test_large_logits_do_not_overflow() -> None:
    x, weight, targets = data()
    with torch.no_grad():
        x.mul_(1e3)
    for ours, theirs in zip(
        gradients(linear_cross_entropy, x, weight, targets, ROWS),
        gradients(torch_says, x, weight, targets),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
