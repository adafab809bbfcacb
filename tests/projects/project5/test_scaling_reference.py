"""The reference's fits against numpy's, their errors against repeated experiments, and the lab's own numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]


@pytest.fixture
def scaling(reference: Load) -> ModuleType:
    return reference("scaling")


def points(rng: np.random.Generator, count: int, noise: float = 0.1) -> tuple[list[float], list[float]]:
    x = np.exp(rng.uniform(1, 8, count))
    return x.tolist(), (3.0 * x**-0.4 * np.exp(rng.normal(0, noise, count))).tolist()


@pytest.mark.parametrize("count", [3, 4, 11])
def test_the_fit_and_its_error_are_numpys(scaling: ModuleType, count: int) -> None:
    x, y = points(np.random.default_rng(count), count)
    (slope, at_zero), covariance = np.polyfit(np.log(x), np.log(y), 1, cov=True)
    got = scaling.fit_power_law(x, y)
    assert got == pytest.approx((slope, math.exp(at_zero), math.sqrt(covariance[0, 0])), rel=1e-9)


def test_the_error_is_how_much_the_exponent_varies(scaling: ModuleType) -> None:
    """Many experiments at the same x: the scatter of their exponents is the error that each of them states."""
    rng = np.random.default_rng(0)
    x = [10.0**i for i in range(6)]
    fits = [
        scaling.fit_power_law(x, [2 * v**0.5 * math.exp(rng.normal(0, 0.2)) for v in x]) for _ in range(2000)
    ]
    scatter = np.std([fit[0] for fit in fits])
    stated = math.sqrt(np.mean([fit[2] ** 2 for fit in fits]))
    assert stated == pytest.approx(scatter, rel=0.06)


@pytest.mark.parametrize(("count", "t"), [(3, 12.706), (6, 2.776)])
def test_19_of_20_new_measurements_lie_in_the_range(scaling: ModuleType, count: int, t: float) -> None:
    rng = np.random.default_rng(count)
    x, at, hits = [10.0**i for i in range(count)], 10.0 ** (count + 1), 0
    for _ in range(2000):
        *y, new = (2 * v**0.5 * math.exp(rng.normal(0, 0.2)) for v in (*x, at))
        _, low, high = scaling.predict(x, y, at, t=t)
        hits += low < new < high
    assert hits / 2000 == pytest.approx(0.95, abs=0.02)  # four standard errors


def test_the_floor_is_found(scaling: ModuleType) -> None:
    x = [10.0**i for i in range(3, 9)]
    floor, scale, alpha = scaling.fit_with_floor(x, [1.7 + 40 * v**-0.35 for v in x], steps=2000)
    assert (floor, scale, alpha) == pytest.approx((1.7, 40, 0.35), rel=0.01)


def test_the_vertex_is_numpys(scaling: ModuleType) -> None:
    rng = np.random.default_rng(1)
    sizes = np.exp(rng.uniform(5, 12, 7))
    losses = 2 + 0.05 * (np.log(sizes) - 9) ** 2 + rng.normal(0, 0.01, 7)
    c, b, _ = np.polyfit(np.log(sizes), losses, 2)
    assert scaling.best_size(sizes.tolist(), losses.tolist()) == pytest.approx(math.exp(-b / 2 / c), rel=1e-6)


def test_a_planted_surface_gives_back_its_exponent(scaling: ModuleType) -> None:
    """L = E + A / N^0.34 + B / D^0.28 has N_opt ~ C^(0.28 / 0.62): Hoffmann et al. 2022, section 3.3 and equation 4."""
    runs = []
    for flops in (1e18, 1e19, 1e20, 1e21):
        best = (0.34 * 406.4 / (0.28 * 410.7)) ** (1 / 0.62) * (flops / 6) ** (0.28 / 0.62)
        for factor in (0.5, 0.7, 1.0, 1.4, 2.0):
            tokens = scaling.tokens_for(flops, best * factor)
            loss = 1.69 + 406.4 / (best * factor) ** 0.34 + 410.7 / tokens**0.28
            runs.append((flops, best * factor, loss))
    exponent, _, error = scaling.compute_optimal(runs)
    assert exponent == pytest.approx(0.28 / 0.62, abs=0.001)
    assert error < 0.001


def test_the_lab_counts_and_trains(scaling: ModuleType) -> None:
    sizes = [scaling.non_embedding_parameters(scaling.ByteModel(*widths)) for widths in scaling.WIDTHS]
    assert sizes == [3488, 11288, 42528]
    text = torch.arange(4000) % 97  # after 96 comes 0, else the next number
    few, many = (scaling.train(4, 16, flops, text, 0) for flops in (2e7, 4e8))
    assert few[0] == many[0] == 3488
    assert many[1] < few[1] - 0.5


def test_the_numbers_by_hand_are_right(scaling: ModuleType, project: Project) -> None:
    """Each is worked out again, and must stand in the guide as it is rounded there."""
    guide = project.guide.read_text(encoding="utf-8")
    x, y = [1.0, 10.0, 100.0], [100.0, 30.0, 10.0]
    exponent, prefactor, error = scaling.fit_power_law(x, y)
    v = [math.log10(value) for value in y]
    rest = [v[i] - math.log10(prefactor) - exponent * i for i in range(3)]
    best = 4 * 4 ** ((3.10 - 3.06) / (2 * (3.10 - 2 * 3.00 + 3.06)))
    assert scaling.best_size([1, 4, 16], [3.10, 3.00, 3.06]) == pytest.approx(best)
    said = [
        f"slope | $(1 - 2) / 2 = {exponent:.1f}$",
        f"${sum(v) / 3:.3f} + 0.5 = {math.log10(prefactor):.3f}$",
        f"10^{{{math.log10(prefactor):.3f}}} = {prefactor:.1f}$",
        f"residuals | {rest[0]:.4f}, {rest[1]:.4f}, {rest[2]:.4f}; the sum of their squares is "
        f"{sum(r * r for r in rest):.6f} |",
        f"\\sqrt{{0.000349 / 2}} = {error:.4f}$",
        f"$-0.5 \\pm {12.706 * error:.3f}$",
        f"$\\pm {1.96 * error:.3f}$",
        f"$4 \\cdot 4^{{0.125}} = {best:.2f}$ million",
    ]
    assert [words for words in said if words not in guide] == []
