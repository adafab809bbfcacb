"""Step usecase, one small thing after the other."""

from __future__ import annotations

import math

SECTIONS = ("Intended use", "Training data and licence", "Evaluation", "Limits", "How it was made")


def check_lengths(first, second):
    if len(first) != len(second):
        raise ValueError(f"{len(first)} is not {len(second)}")
    if len(first) == 0:
        raise ValueError("there is nothing to count")


def labels_of(actual):
    labels = []
    for label in actual:
        if label not in labels:
            labels.append(label)
    return labels


def precision_and_recall(predicted, actual, label):
    true_positives = 0
    false_positives = 0
    false_negatives = 0
    for i in range(len(actual)):
        if predicted[i] == label and actual[i] == label:
            true_positives += 1
        elif predicted[i] == label:
            false_positives += 1
        elif actual[i] == label:
            false_negatives += 1
    if true_positives == 0:
        return 0.0, 0.0
    precision = true_positives / (true_positives + false_positives)
    recall = true_positives / (true_positives + false_negatives)
    return precision, recall


def macro_f1(predicted, actual):
    check_lengths(predicted, actual)
    total = 0.0
    labels = labels_of(actual)
    for label in labels:
        precision, recall = precision_and_recall(predicted, actual, label)
        if precision + recall > 0:
            total += 2 * precision * recall / (precision + recall)
    return total / len(labels)


def factorial(n):
    result = 1
    for i in range(2, n + 1):
        result *= i
    return result


def chance_of(heads, tosses):
    ways = factorial(tosses) // factorial(heads) // factorial(tosses - heads)
    return ways * 0.5**tosses


def compare_with_baseline(mine, baseline):
    check_lengths(mine, baseline)
    n = len(mine)
    n10 = 0
    n01 = 0
    for i in range(n):
        if mine[i] and not baseline[i]:
            n10 += 1
        if baseline[i] and not mine[i]:
            n01 += 1
    tosses = n10 + n01
    p_value = 0.0
    for heads in range(tosses + 1):
        if heads <= min(n10, n01) or heads >= max(n10, n01):
            p_value += chance_of(heads, tosses)
    mean = (n10 - n01) / n
    squares = 0.0
    for i in range(n):
        squares += (int(mine[i]) - int(baseline[i]) - mean) ** 2
    return {"p_value": p_value, "standard_error": math.sqrt(squares / n / n), "difference": mean}


def distinct_n(samples, n):
    seen = set()
    count = 0
    for sample in samples:
        for start in range(len(sample)):
            gram = []
            for offset in range(n):
                if start + offset < len(sample):
                    gram.append(sample[start + offset])
            if len(gram) == n:
                seen.add(tuple(gram))
                count += 1
    if count == 0:
        return 0.0
    return len(seen) / count


def agree_from(sample, i, training, j):
    length = 0
    while i + length < len(sample) and j + length < len(training):
        if sample[i + length] != training[j + length]:
            break
        length += 1
    return length


def longest_copy(sample, training):
    longest = 0
    for i in range(len(sample)):
        for j in range(len(training)):
            longest = max(longest, agree_from(sample, i, training, j))
    return longest


def is_blank(text):
    for character in text:
        if not character.isspace():
            return False
    return True


def model_card(title, sections, metrics):
    for name in SECTIONS:
        if name not in sections:
            raise ValueError("the section " + name + " is missing")
        if is_blank(sections[name]):
            raise ValueError("the section " + name + " is empty")
    if len(metrics) == 0:
        raise ValueError("no metrics")
    order = list(SECTIONS)
    for name in sections:
        if name not in order:
            order.append(name)
    card = "# " + title + "\n"
    for name in order:
        card += "\n"
        card += "## " + name + "\n"
        card += "\n"
        if name == "Evaluation":
            for metric in metrics:
                value, base = metrics[metric]
                card += "* " + metric + ": " + format(value, ".3f") + " (baseline: " + format(base, ".3f") + ")\n"
            card += "\n"
        card += sections[name] + "\n"
    return card
