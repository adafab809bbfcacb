"""speculative.py of the reference: its algebra in exact fractions, and the guide's numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]


def test_what_is_kept_and_what_is_replaced_add_up_to_p() -> None:
    """The theorem itself, in fractions: for every p and q in steps of 1/6 over three tokens."""
    steps = [Fraction(n, 6) for n in range(7)]
    simplex = [row for row in itertools.product(steps, repeat=3) if sum(row) == 1]
    for p, q in itertools.product(simplex, simplex):
        kept = [b * min(Fraction(1), a / b) if b else Fraction(0) for a, b in zip(p, q, strict=True)]
        left = [max(a - b, Fraction(0)) for a, b in zip(p, q, strict=True)]
        rejected = 1 - sum(kept)
        assert rejected == sum(left)
        if rejected:
            assert tuple(k + rejected * x / sum(left) for k, x in zip(kept, left, strict=True)) == p
        else:
            assert tuple(kept) == p


def test_a_round_of_the_reference_keeps_the_distribution_exactly(reference: Load) -> None:
    """accept_probability and residual put together are p again, in float64 and in float32."""
    module = reference("speculative")
    for dtype, allowed in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        logits = torch.randn(2, 50, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        for p, q in zip(*module.next_token_probs(logits).to(dtype), strict=True):
            kept = torch.tensor([module.accept_probability(p, q, x) for x in range(11)], dtype=dtype) * q
            alpha = module.acceptance_rate(p, q)
            torch.testing.assert_close(kept.sum(), alpha, atol=allowed, rtol=0.0)
            torch.testing.assert_close(kept + (1 - alpha) * module.residual(p, q), p, atol=allowed, rtol=0.0)


def test_the_mean_length_of_a_round_is_the_formula(reference: Load) -> None:
    """Independent places with the same alpha: what the formula supposes."""
    module, k, count = reference("speculative"), 3, 4000
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.3, 0.1, 0.6])
    generator = torch.Generator().manual_seed(0)
    drafts = torch.multinomial(q, count * k, replacement=True, generator=generator).view(count, k)
    lengths = [len(module.verify(row, q.expand(k, 3), p.expand(k + 1, 3), generator)) for row in drafts]
    alpha = float(module.acceptance_rate(p, q))
    assert sum(lengths) / count == pytest.approx(module.expected_tokens(alpha, k), abs=5 * 1.2 / count**0.5)
    assert {1, 2, 3, 4} == set(lengths)


class Table(nn.Module):
    """The next token depends on the last one only. (1, T) -> ((1, T, V), None)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.config = SimpleNamespace(block_size=40)
        self.table = torch.randn(5, 5, generator=torch.Generator().manual_seed(seed))
        self.calls = 0

    def forward(self, idx: Tensor) -> tuple[Tensor, None]:
        self.calls += 1
        return self.table[idx], None


@pytest.mark.parametrize("k", [1, 2, 5, 50])
def test_tokens_follow_one_another_as_the_targets_table_says(reference: Load, k: int) -> None:
    """Transitions of a Markov chain, counted over many texts; each row of counts within five standard deviations."""
    module, target, draft = reference("speculative"), Table(0), Table(1)
    generator = torch.Generator().manual_seed(k)
    counts = torch.zeros(5, 5)
    for _ in range(60):
        text = module.speculative_generate(
            target, draft, torch.tensor([0]), 39, k=k, temperature=0.7, generator=generator
        )
        assert len(text) == 40
        counts += torch.bincount(text[:-1] * 5 + text[1:], minlength=25).view(5, 5)
    p = (target.table / 0.7).softmax(-1)
    totals = counts.sum(-1, keepdim=True)
    deviation = (counts - totals * p).abs() / (totals * p * (1 - p)).sqrt().clamp(min=1.0)
    assert float(deviation.max()) < 5.0
    assert target.calls < 60 * 39


def test_the_numbers_by_hand_are_right(project: Project) -> None:
    guide = project.guide.read_text(encoding="utf-8")
    p, q = (0.5, 0.3, 0.2), (0.3, 0.1, 0.6)
    kept = [min(a, b) for a, b in zip(p, q, strict=True)]
    left = [max(a - b, 0.0) for a, b in zip(p, q, strict=True)]
    alpha = sum(kept)
    rows = {
        "kept with probability": [min(1.0, a / b) for a, b in zip(p, q, strict=True)],
        "drawn and kept, $\\min(p, q)$": kept,
        "$\\max(p - q, 0)$": left,
        "residual": [x / sum(left) for x in left],
        "comes out: kept, or from the residual": [a + b for a, b in zip(kept, left, strict=True)],
        "comes out if redrawn from $p$": [a + (1 - alpha) * b for a, b in zip(kept, p, strict=True)],
    }
    for name, values in rows.items():
        cells = " | ".join(f"{round(value, 3):g}" for value in values)
        assert f"| {name} | {cells} |" in guide
    tokens = (1 - alpha**5) / (1 - alpha)
    assert f"$k = 4$ that is {tokens:.3f}" in guide
    assert f"a round costs 1.4, and the text comes {tokens / 1.4:.3f} times as fast" in guide
