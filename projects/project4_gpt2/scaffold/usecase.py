"""Your own use: a number that says whether it works, and a card that says so to others.    Step: usecase

Sources: McNemar 1947 (two answerers on the same items); Li et al. 2016 (distinct-n), https://arxiv.org/abs/1510.03055;
Mitchell et al. 2019 (model cards), https://arxiv.org/abs/1810.03993.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

SECTIONS = ("Intended use", "Training data and licence", "Evaluation", "Limits", "How it was made")


def macro_f1(predicted: Sequence[Hashable], actual: Sequence[Hashable]) -> float:
    """The mean, over the labels that occur in `actual`, of each label's F1 = 2 TP / (2 TP + FP + FN).

    Unlike accuracy, it cannot be high by always giving the commonest label. Raises ValueError for different lengths,
    or none.
    """
    raise NotImplementedError("usecase: macro_f1")


def compare_with_baseline(mine: Sequence[bool], baseline: Sequence[bool]) -> dict[str, float]:
    """Two answerers on the same items (True: right): is the difference more than luck?

    difference: accuracy of mine less that of the baseline. standard_error: of that difference, for pairs:
    sqrt(n10 + n01 - (n10 - n01)^2 / n) / n, where n10 items only mine got right, n01 only the baseline.
    p_value: exact McNemar, two-sided: if both were equally good, the n10 + n01 items would be coin tosses; the chance
    of a split at least as uneven, at most 1. Raises ValueError for different lengths, or none.
    """
    raise NotImplementedError("usecase: compare_with_baseline")


def distinct_n(samples: Sequence[Sequence[Hashable]], n: int) -> float:
    """Different n-grams of all samples over all their n-grams: 1 if nothing is ever repeated. 0 if there are none."""
    raise NotImplementedError("usecase: distinct_n")


def longest_copy(sample: Sequence[int], training: Sequence[int]) -> int:
    """Tokens of the longest run in the sample that stands, token for token, somewhere in the training text."""
    raise NotImplementedError("usecase: longest_copy")


def model_card(title: str, sections: Mapping[str, str], metrics: Mapping[str, tuple[float, float]]) -> str:
    """A card in Markdown: "# title", each section of SECTIONS under "## its name" in that order, others after them.

    metrics: name -> (value, baseline's value); under Evaluation, besides what the section says, each has a line of its
    own, "name: value (baseline: value)" with three decimals, which may begin with "- ". Raises ValueError that names the
    section for one of SECTIONS that is missing or blank, and ValueError for no metrics.
    """
    raise NotImplementedError("usecase: model_card")
