"""How sure a score is, and whether it can be told from chance. Plain Python, no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

FEW = 10  # items, below which nothing is said
Z = 1.959964  # 95 per cent of a normal distribution lie so many standard deviations around its mean
LEVEL = 0.05  # a score that chance reaches or passes this often is not told from chance


def mean_and_error(
    values: Sequence[float], weights: Sequence[int] | None = None
) -> tuple[float, float | None]:
    """The weighted mean and its standard error; None for a single value.

    For right (1) and wrong (0) without weights the error is sqrt(p (1 - p) / (n - 1)), the public harness's.
    Source: Cochran 1977, Sampling Techniques, section 6.4 (the ratio of two sums, each over the same units).
    """
    weights = [1] * len(values) if weights is None else weights
    total, n = sum(weights), len(values)
    mean = math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total
    if n < 2:
        return mean, None
    squares = math.fsum((w * (v - mean)) ** 2 for v, w in zip(values, weights, strict=True))
    return mean, math.sqrt(squares * n / (n - 1)) / total


def binomial_p(right: int, n: int, chance: float) -> float:
    """How often guessing gives a count at least as unlikely as `right` of n: the exact two-sided test.

    binomial_p(58, 200, 0.25) is 0.19: 29 per cent of 200 four-way items may well be luck.
    Source: Clopper and Pearson 1934; two-sided as in R's binom.test, which adds up all counts that are no likelier.
    """
    if not 0 < chance < 1:
        return float(right == round(n * chance))
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(chance) + (n - k) * math.log1p(-chance)
        for k in range(n + 1)
    ]  # fmt: skip
    limit = logs[right] + 1e-7  # equal counts on the other side differ by rounding
    return min(1.0, math.fsum(math.exp(log) for log in logs if log <= limit))


class Share(NamedTuple):
    """How many of n items were right, beside what guessing would get."""

    right: int
    n: int
    chance: float

    @property
    def value(self) -> float:
        return self.right / self.n

    @property
    def error(self) -> float | None:
        return mean_and_error([1.0] * self.right + [0.0] * (self.n - self.right))[1]

    @property
    def p(self) -> float:
        return binomial_p(self.right, self.n, self.chance)

    @property
    def verdict(self) -> str:
        """ "above chance", "below chance", "not distinguishable from chance", or that there is too little to tell."""
        if self.n < FEW or not 0 < self.chance < 1:
            return "too few items to tell"
        if self.p >= LEVEL:
            return "not distinguishable from chance"
        return "above chance" if self.value > self.chance else "below chance"

    def to_json(self) -> dict[str, float | int | str | None]:
        return {"value": self.value, "error": self.error, "right": self.right, "n": self.n, "low": self.interval[0],
                "high": self.interval[1], "chance": self.chance, "p": self.p, "verdict": self.verdict}  # fmt: skip

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies, with 95 per cent. It has a width where the standard error is 0, too.

        Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.
        """
        z2, p, n = Z**2, self.value, self.n
        middle, half = p + z2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
        return max(0.0, (middle - half) / (1 + z2 / n)), min(1.0, (middle + half) / (1 + z2 / n))


def agreement(first: Sequence[str], second: Sequence[str]) -> tuple[float, float | None]:
    """(share of equal labels, Cohen's kappa: what is left of it once luck is taken off).

    Kappa is None where luck alone would make both agree always. Source: Cohen 1960, A coefficient of agreement for
    nominal scales.
    """
    n = len(first)
    equal = sum(a == b for a, b in zip(first, second, strict=True)) / n
    counts, others = Counter(first), Counter(second)
    luck = sum(counts[label] * others[label] for label in counts) / n**2
    return equal, None if luck == 1 else (equal - luck) / (1 - luck)
