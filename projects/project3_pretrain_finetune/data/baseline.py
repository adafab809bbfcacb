"""What a model that only counts words reaches on messages.jsonl and preferences.jsonl: the figure to beat.

    python projects/project3_pretrain_finetune/data/baseline.py

Naive Bayes with add-one smoothing over words and punctuation marks (Manning et al. 2008, Introduction to Information
Retrieval, section 13.2). It knows nothing of order. A task that it solves needs no language model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def read(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def tokens(text: str) -> list[str]:
    """Words in lower case, runs of digits as "0", and each punctuation mark."""
    return re.findall(r"[a-z']+|0|[^\w\s]", re.sub(r"[0-9]+", "0", text.lower()))


def counts(texts: Sequence[str], vocabulary: dict[str, int]) -> np.ndarray:
    """How often each word of the vocabulary occurs: (n_texts, n_words)."""
    table = np.zeros((len(texts), len(vocabulary)))
    for row, text in enumerate(texts):
        for token in tokens(text):
            if token in vocabulary:
                table[row, vocabulary[token]] += 1
    return table


def naive_bayes(
    train: Sequence[str], labels: Sequence[bool], test: Sequence[str], answers: Sequence[bool]
) -> float:
    """Accuracy on `test` of naive Bayes that was fitted to `train`."""
    vocabulary = {
        word: i for i, word in enumerate(sorted({token for text in train for token in tokens(text)}))
    }
    x, y = counts(train, vocabulary), np.array(labels)
    log_p = [np.log((x[y == c].sum(0) + 1) / (x[y == c].sum() + len(vocabulary))) for c in (False, True)]
    score = counts(test, vocabulary) @ (log_p[1] - log_p[0]) + np.log(y.mean() / (1 - y.mean()))
    return float(((score > 0) == np.array(answers)).mean())


def folded_accuracy(texts: Sequence[str], labels: Sequence[bool], n_folds: int = 10) -> float:
    """Mean accuracy over folds: every text is tested once by a model that has not seen it. All lines, all splits."""
    order = np.random.default_rng(0).permutation(len(texts))
    results = []
    for fold in range(n_folds):
        tested = set(order[fold::n_folds].tolist())
        inside = [i for i in range(len(texts)) if i not in tested]
        outside = sorted(tested)
        results.append(
            naive_bayes(
                [texts[i] for i in inside],
                [labels[i] for i in inside],
                [texts[i] for i in outside],
                [labels[i] for i in outside],
            )
        )
    return float(np.mean(results))


def best_single_word(texts: Sequence[str], labels: Sequence[bool]) -> tuple[str, float]:
    """The word whose presence alone tells most about the label, and the accuracy of that rule on the same texts."""
    vocabulary = {
        word: i for i, word in enumerate(sorted({token for text in texts for token in tokens(text)}))
    }
    agrees = ((counts(texts, vocabulary) > 0) == np.array(labels)[:, None]).mean(0)
    accuracy = np.maximum(agrees, 1 - agrees)
    best = int(accuracy.argmax())
    return sorted(vocabulary)[best], float(accuracy[best])


def best_length(lengths: Sequence[int], labels: Sequence[bool]) -> float:
    """Accuracy of the best rule of the kind "longer than k characters" (or shorter), on the same texts."""
    n, y = np.array(lengths), np.array(labels)
    agrees = [((n > k) == y).mean() for k in sorted(set(lengths))]
    return float(max(*agrees, 1 - min(agrees)))


def best_length_bins(lengths: Sequence[int], labels: Sequence[bool], width: int = 20) -> float:
    """Accuracy of the more frequent label of each bin of `width` characters, on the same texts."""
    bins: dict[int, list[bool]] = {}
    for n, label in zip(lengths, labels, strict=True):
        bins.setdefault(n // width, []).append(label)
    return sum(max(sum(part), len(part) - sum(part)) for part in bins.values()) / len(lengths)


def messages_figures() -> dict[str, float]:
    rows = read("messages")
    texts, labels = [row["text"] for row in rows], [row["label"] == "spam" for row in rows]
    train = [i for i, row in enumerate(rows) if row["split"] == "train"]
    test = [i for i, row in enumerate(rows) if row["split"] == "test"]
    lengths = [len(text) for text in texts]
    word, accuracy = best_single_word(texts, labels)
    return {
        "naive Bayes, test split": naive_bayes(
            [texts[i] for i in train],
            [labels[i] for i in train],
            [texts[i] for i in test],
            [labels[i] for i in test],
        ),
        "naive Bayes, 10 folds over all lines": folded_accuracy(texts, labels),
        f'presence of the most telling word or mark, "{word}"': accuracy,
        'best rule of the kind "longer than k characters"': best_length(lengths, labels),
        "best label for each 20 characters of length": best_length_bins(lengths, labels),
        "always the more frequent label": max(float(np.mean(labels)), 1 - float(np.mean(labels))),
    }


def preferences_figures() -> dict[str, float]:
    """Does an answer betray without its prompt that it is the chosen one?"""
    rows = read("preferences")
    longer = [len(row["chosen"]) - len(row["rejected"]) for row in rows]
    wins = sum(d > 0 for d in longer) + sum(d == 0 for d in longer) / 2

    def both(split: str) -> tuple[list[str], list[bool]]:
        part = [row for row in rows if row["split"] == split]
        return [row[key] for key in ("chosen", "rejected") for row in part], [True] * len(part) + [
            False
        ] * len(part)

    return {
        '"the longer answer wins" (a tie counts half)': wins / len(rows),
        "naive Bayes on single answers, test split": naive_bayes(*both("train"), *both("test")),
    }


if __name__ == "__main__":
    for name, figures in (("messages", messages_figures()), ("preferences", preferences_figures())):
        print(name)
        for what, value in figures.items():
            print(f"  {value:.3f}  {what}")
