"""Which lines are nearly the same, and splits that keep such lines together.

Two texts are near duplicates when the Jaccard similarity of their character 5-grams reaches LIMIT: of all 5-grams that
occur in either, this share occurs in both. Case and punctuation do not count, and every digit counts as 0, so that a
sentence repeated with other numbers is a near duplicate too.
(Broder 1997, On the resemblance and containment of documents.)
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

LIMIT = 0.5


def shingles(text: str, n: int = 5) -> frozenset[str]:
    """Character n-grams of the text in lower case, one space at each end: "Hi you!" gives {" hi y", "hi yo", ...}."""
    plain = f" {re.sub(r'[^a-z0]+', ' ', re.sub(r'[0-9]', '0', text.lower())).strip()} "
    return frozenset(plain[i : i + n] for i in range(max(1, len(plain) - n + 1)))


def pairs(texts: Sequence[str], least: float) -> Iterator[tuple[int, int, float]]:
    """All pairs i < j whose similarity is at least `least`, which must be above 0."""
    sets = [shingles(text) for text in texts]
    for j, b in enumerate(sets):
        for i, a in enumerate(sets[:j]):
            if min(len(a), len(b)) < least * max(len(a), len(b)):
                continue  # the smaller one cannot fill enough of the union
            common = len(a & b)
            if (similarity := common / (len(a) + len(b) - common)) >= least:
                yield i, j, similarity


def draw_splits(
    texts: Sequence[str], strata: Sequence[str], *, validation: float, test: float, seed: int
) -> list[str]:
    """A split for each text: the same share of every stratum, and whatever has a near duplicate goes to train."""
    has_twin = {index for i, j, _ in pairs(texts, LIMIT) for index in (i, j)}
    splits = ["train"] * len(texts)
    for stratum in sorted(set(strata)):
        members = [i for i, name in enumerate(strata) if name == stratum]
        free = [i for i in members if i not in has_twin]
        random.Random(f"{seed} {stratum}").shuffle(free)
        n_test, n_validation = round(test * len(members)), round(validation * len(members))
        for place, i in enumerate(free[: n_test + n_validation]):
            splits[i] = "test" if place < n_test else "validation"
    return splits


def closest_across(texts: Sequence[str], splits: Sequence[str]) -> tuple[float, str, str]:
    """The largest similarity between two texts of different splits, and the two texts."""
    found = ((s, texts[i], texts[j]) for i, j, s in pairs(texts, 0.05) if splits[i] != splits[j])
    return max(found, default=(0.0, "", ""))
