"""Evaluation, one token at a time."""

import math
from dataclasses import dataclass

import torch

JUDGE_PROMPT = """You compare two answers to the same request.

Request:
{instruction}

First answer:
{first}

Second answer:
{second}

Give each answer a number from {low} (useless) to {high} (perfect). Write two lines and nothing else:
A: <number for the first answer>
B: <number for the second answer>
"""


@dataclass
class EvalResult:
    """What came of multiple choice. Shares from 0 to 1. Given complete."""

    acc: float  # share of items answered rightly
    stderr: float  # standard error of acc
    n: int  # items
    baseline: float  # what guessing would give


@dataclass
class JudgeResult:
    """What a judge said about pairs of answers, a and b. Given complete."""

    n: int  # items that were judged
    score_a: float  # mean over these items, in points of the scale; nan if there are none
    score_b: float
    wins_a: int  # items in which a was ahead in every order
    wins_b: int
    ties: int  # all other judged items
    inconsistent: int  # judged items in which one order preferred a and the other one b
    calls: int  # replies that were asked for
    unparsed: int  # replies that could not be used


def ending_log_likelihoods(model, tok, context, endings, *, max_seq_len=None):
    context_ids = list(tok.encode(context))
    if len(context_ids) == 0:
        raise ValueError("The context is empty.")
    came_in_training_mode = model.training
    model.eval()
    results = []
    try:
        for ending in endings:
            ending_ids = list(tok.encode(ending))
            if len(ending_ids) == 0:
                raise ValueError("An ending is empty.")
            all_ids = context_ids + ending_ids
            if max_seq_len is not None:
                if len(ending_ids) + 1 > max_seq_len:
                    raise ValueError("An ending is too long.")
                while len(all_ids) > max_seq_len:
                    all_ids = all_ids[1:]
            with torch.inference_mode():
                logits, _ = model(torch.tensor(all_ids).unsqueeze(0))
            total = 0.0
            for position in range(len(all_ids) - len(ending_ids), len(all_ids)):
                row = logits[0, position - 1].to(torch.float64)
                probabilities = torch.exp(row - row.max())
                probabilities = probabilities / probabilities.sum()
                total += math.log(probabilities[all_ids[position]].item())
            results.append(total)
    finally:
        if came_in_training_mode:
            model.train()
    return torch.tensor(results, dtype=torch.float64)


def evaluate_multiple_choice(model, tok, items, *, normalize="none", max_seq_len=None):
    if normalize not in ["none", "tokens", "bytes"]:
        raise ValueError("normalize must be none, tokens or bytes")
    number_of_items = 0
    number_right = 0
    sum_of_chances = 0.0
    for item in items:
        endings = item["endings"]
        label = item["label"]
        if len(endings) < 2:
            raise ValueError("There is nothing to choose from.")
        if label < 0 or label >= len(endings):
            raise ValueError("The label is no ending.")
        scores = ending_log_likelihoods(model, tok, item["context"], endings, max_seq_len=max_seq_len)
        best_index = None
        best_score = -math.inf
        for index, ending in enumerate(endings):
            score = float(scores[index])
            if normalize == "tokens":
                score = score / len(tok.encode(ending))
            if normalize == "bytes":
                score = score / len(bytes(ending, "utf-8"))
            if score > best_score:
                best_index, best_score = index, score
        if best_index == label:
            number_right += 1
        number_of_items += 1
        sum_of_chances += 1.0 / len(endings)
    if number_of_items == 0:
        raise ValueError("There are no items.")
    accuracy = number_right / number_of_items
    variance = accuracy * (1.0 - accuracy)
    return EvalResult(
        accuracy,
        math.sqrt(variance / number_of_items),
        number_of_items,
        sum_of_chances / number_of_items,
    )


def distinguishable_from_chance(result, z=1.96):
    variance_of_one_guess = result.baseline * (1 - result.baseline)
    error_of_guessing = math.sqrt(variance_of_one_guess) / math.sqrt(result.n)
    too_good = result.acc > result.baseline + z * error_of_guessing
    too_bad = result.acc < result.baseline - z * error_of_guessing
    return too_good or too_bad


def agreement(a, b):
    if len(a) != len(b):
        raise ValueError("The two must have the same length.")
    if len(a) == 0:
        raise ValueError("There must be an item.")
    labels = []
    for label in list(a) + list(b):
        if label not in labels:
            labels.append(label)
    observed = 0.0
    for index in range(len(a)):
        if a[index] == b[index]:
            observed += 1.0 / len(a)
    if len(labels) == 1:
        return 1.0
    expected = 0.0
    for label in labels:
        expected += (list(a).count(label) / len(a)) * (list(b).count(label) / len(b))
    return (observed - expected) / (1.0 - expected)


def number_in(text):
    """A float, or None if the text is no plain decimal number."""
    digits = text[1:] if text.startswith("-") else text
    before, point, after = digits.partition(".")
    if not (before.isascii() and before.isdigit()):
        return None
    if point and not (after.isascii() and after.isdigit()):
        return None
    return float(text)


def parse_scores(reply, scale):
    low, high = scale
    found = {"A": [], "B": []}
    for line in reply.splitlines():
        name, colon, rest = line.partition(":")
        name = name.strip()
        if colon and name in found:
            number = number_in(rest.strip())
            if number is not None:
                found[name].append(number)
    for numbers in found.values():
        if len(numbers) != 1:
            return None
        if numbers[0] < low or numbers[0] > high:
            return None
    return found["A"][0], found["B"][0]


def ask(client, scale, instruction, first, second, repeats):
    """(mean of the first or None, mean of the second or None, replies that could not be used)."""
    prompt = JUDGE_PROMPT.format(
        instruction=instruction, first=first, second=second, low=scale[0], high=scale[1]
    )
    sum_of_first = 0.0
    sum_of_second = 0.0
    used = 0
    for _ in range(repeats):
        scores = parse_scores(client(prompt), scale)
        if scores is not None:
            sum_of_first += scores[0]
            sum_of_second += scores[1]
            used += 1
    if used == 0:
        return None, None, repeats
    return sum_of_first / used, sum_of_second / used, repeats - used


def judge(items, *, client, scale=(0, 100), swap=True, repeats=1):
    result = JudgeResult(0, math.nan, math.nan, 0, 0, 0, 0, 0, 0)
    all_of_a = []
    all_of_b = []
    for item in items:
        a1, b1, lost = ask(client, scale, item["instruction"], item["a"], item["b"], repeats)
        result.unparsed += lost
        result.calls += repeats
        if swap:
            b2, a2, lost = ask(client, scale, item["instruction"], item["b"], item["a"], repeats)
            result.unparsed += lost
            result.calls += repeats
        else:
            a2, b2 = a1, b1
        if a1 is None or a2 is None:
            continue
        result.n += 1
        all_of_a.append((a1 + a2) / 2)
        all_of_b.append((b1 + b2) / 2)
        if a1 > b1 and a2 > b2:
            result.wins_a += 1
        elif b1 > a1 and b2 > a2:
            result.wins_b += 1
        else:
            result.ties += 1
            if (a1 > b1 and b2 > a2) or (b1 > a1 and a2 > b2):
                result.inconsistent += 1
    if result.n > 0:
        result.score_a = sum(all_of_a) / result.n
        result.score_b = sum(all_of_b) / result.n
    return result
