"""Your own use: a number that says whether it works, and a card that says so to others.    Step: usecase

Sources: McNemar 1947 (two answerers on the same items); Li et al. 2016 (distinct-n), https://arxiv.org/abs/1510.03055;
Mitchell et al. 2019 (model cards), https://arxiv.org/abs/1810.03993.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

SECTIONS = ("Intended use", "Training data and licence", "Evaluation", "Limits", "How it was made")


def macro_f1(predicted: Sequence[Hashable], actual: Sequence[Hashable]) -> float:
    """The mean, over the labels that occur in `actual`, of each label's F1 = 2 TP / (2 TP + FP + FN).

    Unlike accuracy, it cannot be high by always giving the commonest label. Raises ValueError for different lengths,
    or none.
    """
    if not actual or len(predicted) != len(actual):
        raise ValueError(f"there are {len(predicted)} predictions for {len(actual)} items")
    scores = []
    pairs = list(zip(predicted, actual, strict=True))
    for label in set(actual):
        hits = sum(p == label and a == label for p, a in pairs)
        misses = sum((p == label) != (a == label) for p, a in pairs)  # FP + FN
        scores.append(2 * hits / (2 * hits + misses))
    return sum(scores) / len(scores)


def compare_with_baseline(mine: Sequence[bool], baseline: Sequence[bool]) -> dict[str, float]:
    """Two answerers on the same items (True: right): is the difference more than luck?

    difference: accuracy of mine less that of the baseline. standard_error: of that difference, for pairs:
    sqrt(n10 + n01 - (n10 - n01)^2 / n) / n, where n10 items only mine got right, n01 only the baseline.
    p_value: exact McNemar, two-sided: if both were equally good, the n10 + n01 items would be coin tosses; the chance
    of a split at least as uneven, at most 1. Raises ValueError for different lengths, or none.
    """
    n = len(mine)
    if n == 0 or n != len(baseline):
        raise ValueError(f"there are {n} answers of mine and {len(baseline)} of the baseline")
    only_mine = sum(m and not b for m, b in zip(mine, baseline, strict=True))
    only_theirs = sum(b and not m for m, b in zip(mine, baseline, strict=True))
    parted = only_mine + only_theirs
    fewer = min(only_mine, only_theirs)
    tail = sum(math.comb(parted, k) for k in range(fewer + 1)) / 2**parted
    spread = parted - (only_mine - only_theirs) ** 2 / n
    return {
        "difference": (only_mine - only_theirs) / n,
        "standard_error": math.sqrt(spread) / n,
        "p_value": min(1.0, 2 * tail),
    }


def distinct_n(samples: Sequence[Sequence[Hashable]], n: int) -> float:
    """Different n-grams of all samples over all their n-grams: 1 if nothing is ever repeated. 0 if there are none."""
    grams = [tuple(sample[i : i + n]) for sample in samples for i in range(len(sample) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def longest_copy(sample: Sequence[int], training: Sequence[int]) -> int:
    """Tokens of the longest run in the sample that stands, token for token, somewhere in the training text."""
    longest = 0
    previous = [0] * (len(sample) + 1)  # [j]: how far the two agree, going back from sample[j - 1]
    for token in training:
        current = [0] * (len(sample) + 1)
        for j, mine in enumerate(sample, 1):
            if token == mine:
                current[j] = previous[j - 1] + 1
        longest = max(longest, *current)
        previous = current
    return longest


def model_card(title: str, sections: Mapping[str, str], metrics: Mapping[str, tuple[float, float]]) -> str:
    """A card in Markdown: "# title", each section of SECTIONS under "## its name" in that order, others after them.

    metrics: name -> (value, baseline's value); under Evaluation, besides what the section says, each has a line of its
    own, "name: value (baseline: value)" with three decimals, which may begin with "- ". Raises ValueError that names the
    section for one of SECTIONS that is missing or blank, and ValueError for no metrics.
    """
    lacking = [name for name in SECTIONS if not sections.get(name, "").strip()]
    if lacking:
        raise ValueError(f"the card has nothing under {lacking[0]!r}")
    if not metrics:
        raise ValueError("the card has no metric: measure one, and its baseline")
    lines = [f"# {title}"]
    for name in [*SECTIONS, *(name for name in sections if name not in SECTIONS)]:
        lines += ["", f"## {name}", "", sections[name].strip()]
        if name == "Evaluation":
            lines.append("")
            lines += [
                f"- {what}: {mine:.3f} (baseline: {base:.3f})" for what, (mine, base) in metrics.items()
            ]
    return "\n".join(lines) + "\n"
