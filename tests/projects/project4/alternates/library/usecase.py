"""Step usecase with collections, statistics, difflib and torch."""

from __future__ import annotations

import collections
import difflib
import itertools
import statistics

import torch

SECTIONS = ("Intended use", "Training data and licence", "Evaluation", "Limits", "How it was made")


def macro_f1(predicted, actual):
    if not len(actual):
        raise ValueError("no items")
    pairs = collections.Counter(zip(predicted, actual, strict=True))  # strict: other lengths are a ValueError
    guessed, real = collections.Counter(predicted), collections.Counter(actual)
    return statistics.fmean(2 * pairs[label, label] / (guessed[label] + real[label]) for label in real)


def compare_with_baseline(mine, baseline):
    if len(mine) != len(baseline) or not len(mine):
        raise ValueError("the answers are not to the same items")
    d = torch.tensor(list(mine)).double() - torch.tensor(list(baseline)).double()
    up, down = int((d > 0).sum()), int((d < 0).sum())
    coin = torch.distributions.Binomial(up + down, torch.tensor(0.5, dtype=torch.float64))
    log_p = coin.log_prob(torch.arange(min(up, down) + 1, dtype=torch.float64))
    return {
        "difference": d.mean().item(),
        "standard_error": (d.var(correction=0) / len(d)).sqrt().item(),
        "p_value": min(1.0, 2 * log_p.exp().sum().item()),
    }


def distinct_n(samples, n):
    counts = collections.Counter(
        itertools.chain.from_iterable(zip(*(itertools.islice(s, i, None) for i in range(n))) for s in samples)
    )
    return len(counts) / counts.total() if counts else 0.0


def longest_copy(sample, training):
    matcher = difflib.SequenceMatcher(None, list(training), list(sample), autojunk=False)
    return matcher.find_longest_match().size


def model_card(title, sections, metrics):
    missing = next((s for s in SECTIONS if s not in sections or sections[s].isspace() or not sections[s]), None)
    if missing is not None:
        raise ValueError(f"{missing} is missing")
    if not metrics:
        raise ValueError("no metrics")
    parts = [f"# {title}"]
    for name in dict.fromkeys([*SECTIONS, *sections]):
        parts += [f"## {name}", sections[name]]
        if name == "Evaluation":
            parts.append("\n".join(f"- {k}: {v[0]:.3f} (baseline: {v[1]:.3f})" for k, v in metrics.items()))
    return "\n\n".join(parts)
