"""Errors, tests against chance, and agreement, beside numbers from elsewhere."""

from __future__ import annotations

import math
import statistics as standard
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort_cli.evaluating.statistics import Share, agreement, binomial_p, mean_and_error


def test_29_per_cent_of_200_four_way_items_are_not_told_from_chance() -> None:
    share = Share(58, 200, 0.25)
    assert share.verdict == "not distinguishable from chance"
    assert share.error == pytest.approx(math.sqrt(0.29 * 0.71 / 199))
    exact = [Fraction(math.comb(200, k) * 3 ** (200 - k), 4**200) for k in range(201)]
    assert share.p == pytest.approx(float(sum(p for p in exact if p <= exact[58])))
    assert 0.19 < share.p < 0.20


def test_gpt2s_published_hellaswag_is_above_chance() -> None:
    """0.2955 of 10,042 items, https://github.com/karpathy/build-nanogpt"""
    assert Share(round(0.2955 * 10_042), 10_042, 0.25).verdict == "above chance"
    assert Share(20, 200, 0.25).verdict == "below chance"


@given(st.integers(1, 60), st.floats(0.05, 0.95), st.data())
def test_the_exact_test_is_the_sum_over_all_counts_that_are_no_likelier(
    n: int, chance: float, data: st.DataObject
) -> None:
    right = data.draw(st.integers(0, n))
    chances = [math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(n + 1)]
    expected = sum(c for c in chances if c <= chances[right] * (1 + 1e-7))
    assert binomial_p(right, n, chance) == pytest.approx(min(expected, 1.0), rel=1e-6)


def test_chance_that_is_certain_is_no_test() -> None:
    assert binomial_p(5, 5, 1.0) == 1.0
    assert binomial_p(4, 5, 1.0) == 0.0


def test_the_error_of_a_mean_is_that_of_the_sample() -> None:
    values = [1.0, 4.0, 2.5, 7.0]
    mean, error = mean_and_error(values)
    assert mean == pytest.approx(standard.mean(values))
    assert error == pytest.approx(standard.stdev(values) / 2)
    assert mean_and_error(values, [5] * 4) == (pytest.approx(mean), pytest.approx(error))
    assert mean_and_error([1.0, 3.0], [3, 1]) == (1.5, pytest.approx(math.sqrt(2 * 2 * 1.5**2) / 4))
    assert mean_and_error([2.0], [7]) == (2.0, None)


def test_kappa_takes_luck_off() -> None:
    # Cohen 1960's kind of table: 45 both yes, 25 both no, 15 and 15 split
    first = ["yes"] * 60 + ["no"] * 40
    second = ["yes"] * 45 + ["no"] * 15 + ["no"] * 25 + ["yes"] * 15
    equal, kappa = agreement(first, second)
    assert equal == pytest.approx(0.70)
    assert kappa == pytest.approx((0.70 - (0.6 * 0.6 + 0.4 * 0.4)) / (1 - (0.6 * 0.6 + 0.4 * 0.4)))
    assert agreement(["a", "a"], ["a", "a"]) == (1.0, None)


def test_one_item_or_a_certain_chance_gives_no_verdict() -> None:
    assert Share(0, 1, 0.25).verdict == Share(5, 200, 1.0).verdict == "too few items to tell"


def test_the_interval_is_wilsons_and_has_a_width_where_all_are_alike() -> None:
    low, high = Share(58, 200, 0.25).interval
    for bound in (low, high):  # each solves |p - 0.29| = z sqrt(p (1 - p) / n)
        assert abs(bound - 0.29) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 200))
    assert Share(0, 10, 0.25).interval == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert Share(10, 10, 0.25).interval[0] == pytest.approx(0.7225, abs=1e-4)
