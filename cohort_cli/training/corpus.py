"""The embedded corpus: the English prose of the Python documentation, which every CPython carries.

`pydoc_data.topics` holds what `help("if")` prints: about 465,000 characters, no download, licence PSF-2.0.
"""

from __future__ import annotations

import math
from collections import Counter

from cohort_cli.errors import EnvironmentTrouble

VALIDATION_SHARE = 0.1


def load() -> str:
    """The whole text. Raises EnvironmentTrouble where a Python was built without it."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise EnvironmentTrouble(
            "This Python was built without its documentation (pydoc_data.topics), the corpus of the demo.",
            "Use a Python from python.org, uv, conda or your system's packages.",
        ) from None
    return "\n\n".join(topics[name] for name in sorted(topics))


def split(text: str) -> tuple[str, str]:
    """(training, validation): the last tenth is kept for validation."""
    cut = int(len(text) * (1 - VALIDATION_SHARE))
    return text[:cut], text[cut:]


def bigram_loss(train: str, validation: str, alpha: float = 0.1) -> float:
    """Nats per character of a bigram model: counts on `train`, plus `alpha` for each pair, scored on `validation`."""
    return ngram_loss(2, train, validation, alpha)


def ngram_loss(n: int, train: str, validation: str, alpha: float = 0.1) -> float:
    """The same from counts of n characters. The first n - 1 of the held-out text are not scored."""
    vocabulary = len(set(train) | set(validation))
    grams = Counter(train[i : i + n] for i in range(len(train) - n + 1))
    before = Counter(train[i : i + n - 1] for i in range(len(train) - n + 1))
    nats = 0.0
    for i in range(len(validation) - n + 1):
        gram = validation[i : i + n]
        nats -= math.log((grams[gram] + alpha) / (before[gram[:-1]] + alpha * vocabulary))
    return nats / (len(validation) - n + 1)
