"""Evaluation with torch's padding and loss, and the standard library's statistics."""

import math
import re
import statistics
from collections import Counter
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

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


@torch.no_grad()
def ending_log_likelihoods(model, tok, context, endings, *, max_seq_len=None):
    given = tok.encode(context)
    asked = [tok.encode(ending) for ending in endings]
    if not given or any(not ids for ids in asked):
        raise ValueError("context and endings need tokens")
    rows, labels = [], []
    for ids in asked:
        row, label = given + ids, [-100] * len(given) + ids
        if max_seq_len is not None:
            if len(ids) > max_seq_len - 1:
                raise ValueError("max_seq_len leaves no room for the context")
            row, label = row[-max_seq_len:], label[-max_seq_len:]
        rows.append(torch.tensor(row))
        labels.append(torch.tensor(label))
    x = pad_sequence(rows, batch_first=True)
    y = pad_sequence(labels, batch_first=True, padding_value=-100)
    before = model.training
    model.eval()
    try:
        logits, _ = model(x)
    finally:
        model.train(before)
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), y[:, 1:], reduction="none")
    return -losses.sum(dim=1)


def evaluate_multiple_choice(model, tok, items, *, normalize="none", max_seq_len=None):
    if normalize not in {"none", "tokens", "bytes"}:
        raise ValueError(normalize)
    if len(items) == 0:
        raise ValueError("no items")
    hits, chances = [], []
    for item in items:
        endings = item["endings"]
        if len(endings) < 2 or item["label"] not in range(len(endings)):
            raise ValueError("label")
        scores = ending_log_likelihoods(model, tok, item["context"], endings, max_seq_len=max_seq_len)
        if normalize != "none":
            count = (lambda e: len(tok.encode(e))) if normalize == "tokens" else (lambda e: len(e.encode()))
            scores = scores / torch.tensor(list(map(count, endings)), dtype=scores.dtype)
        hits.append(float(scores.sort(descending=True, stable=True).indices[0] == item["label"]))
        chances.append(1 / len(endings))
    n = len(hits)
    return EvalResult(statistics.fmean(hits), statistics.pstdev(hits) / n**0.5, n, statistics.fmean(chances))


def distinguishable_from_chance(result, z=1.96):
    p, n = result.baseline, result.n
    binomial = torch.distributions.Binomial(n, torch.tensor(p, dtype=torch.float64))
    return abs(result.acc - p) > z * binomial.stddev.item() / n


def agreement(a, b):
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a and b must rate the same items")
    both = Counter(zip(a, b, strict=True))
    rows, columns = Counter(a), Counter(b)
    n = len(a)
    observed = sum(count for (x, y), count in both.items() if x == y) / n
    expected = sum(rows[k] / n * columns[k] / n for k in rows)
    return 1.0 if math.isclose(expected, 1.0) else (observed - expected) / (1.0 - expected)


LINE = re.compile(r"^[ \t]*([AB])[ \t]*:[ \t]*([+-]?\d+(?:\.\d+)?)[ \t\r]*$", re.MULTILINE)


def parse_scores(reply, scale):
    found = LINE.findall(reply)
    numbers = dict(found)
    if Counter(name for name, _ in found) != {"A": 1, "B": 1}:
        return None
    pair = float(numbers["A"]), float(numbers["B"])
    return pair if min(pair) >= scale[0] and max(pair) <= scale[1] else None


def judge(items, *, client, scale=(0, 100), swap=True, repeats=1):
    result = JudgeResult(0, 0.0, 0.0, 0, 0, 0, 0, 0, 0)
    a_scores, b_scores = [], []
    for item in items:
        table = []
        for flipped in (False, True) if swap else (False,):
            first, second = (item["b"], item["a"]) if flipped else (item["a"], item["b"])
            prompt = JUDGE_PROMPT.format(
                instruction=item["instruction"], first=first, second=second, low=scale[0], high=scale[1]
            )
            pairs = [parse_scores(client(prompt), scale) for _ in range(repeats)]
            result.calls += repeats
            result.unparsed += pairs.count(None)
            pairs = torch.tensor([pair for pair in pairs if pair is not None], dtype=torch.float64)
            if len(pairs):
                mean = pairs.mean(0)
                table.append(mean.flip(0) if flipped else mean)
        if len(table) < (2 if swap else 1):
            continue
        table = torch.stack(table)
        gaps = table[:, 0] - table[:, 1]
        a_scores.append(table[:, 0].mean().item())
        b_scores.append(table[:, 1].mean().item())
        result.n += 1
        result.wins_a += int((gaps > 0).all())
        result.wins_b += int((gaps < 0).all())
        result.inconsistent += int(gaps.min() < 0 < gaps.max())
    result.ties = result.n - result.wins_a - result.wins_b
    result.score_a = statistics.fmean(a_scores) if a_scores else math.nan
    result.score_b = statistics.fmean(b_scores) if b_scores else math.nan
    return result
