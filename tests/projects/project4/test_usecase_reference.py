"""The reference's numbers for a use case, beside Python's own tools and what is known of them."""

from __future__ import annotations

import difflib
import statistics
from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort_cli.catalog import find_project
from cohort_cli.checking.judge.diagnose import modules_from

Load = Callable[[str], ModuleType]
TOKENS = st.lists(st.integers(0, 3), max_size=25)


@pytest.fixture(scope="module")
def usecase(reference: Load) -> ModuleType:
    return reference("usecase")


def alone() -> ModuleType:
    """hypothesis wants no fixture that lives longer than an example."""
    source = (find_project("project4").reference / "usecase.py").read_text(encoding="utf-8")
    with modules_from({"usecase": source}) as load:
        return load("usecase")


USECASE = alone()


@given(TOKENS, TOKENS)
def test_the_longest_copy_is_difflibs(sample: list[int], training: list[int]) -> None:
    matcher = difflib.SequenceMatcher(None, sample, training, autojunk=False)
    assert USECASE.longest_copy(sample, training) == matcher.find_longest_match().size
    assert USECASE.longest_copy(training, sample) == USECASE.longest_copy(sample, training)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_the_error_bar_is_the_standard_deviation_of_the_differences(pairs: list[tuple[bool, bool]]) -> None:
    mine, baseline = [a for a, _ in pairs], [b for _, b in pairs]
    found = USECASE.compare_with_baseline(mine, baseline)
    differences = [a - b for a, b in pairs]
    assert found["difference"] == pytest.approx(statistics.fmean(differences))
    spread = statistics.pstdev(differences) / len(pairs) ** 0.5
    assert found["standard_error"] == pytest.approx(spread, abs=1e-9)
    other_way_round = USECASE.compare_with_baseline(baseline, mine)
    assert found["p_value"] == other_way_round["p_value"] <= 1


def test_a_known_p_value(usecase: ModuleType) -> None:
    """R: binom.test(1, 10)$p.value is 0.02148437."""
    mine, baseline = [True] * 9 + [False] + [True] * 50, [False] * 9 + [True] + [True] * 50
    assert usecase.compare_with_baseline(mine, baseline)["p_value"] == pytest.approx(0.02148437, abs=1e-8)


def test_thousands_of_items_do_not_overflow(usecase: ModuleType) -> None:
    mine, baseline = [True] * 3000 + [False] * 3000, [False] * 3000 + [True] * 3000
    assert usecase.compare_with_baseline(mine, baseline)["p_value"] == 1.0
