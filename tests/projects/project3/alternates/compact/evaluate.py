"""Evaluation, short: all endings of an item in one batch, padded on the right."""

import re
from collections import Counter
from dataclasses import dataclass
from statistics import fmean

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
    before, after = tok.encode(context), [tok.encode(e) for e in endings]
    if not before or not all(after):
        raise ValueError("no tokens")
    rows = [before + a for a in after]
    if max_seq_len is not None:
        if max(map(len, after)) >= max_seq_len:
            raise ValueError("no room")
        rows = [row[max(0, len(row) - max_seq_len) :] for row in rows]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    ids = ids.to(next(model.parameters()).device)
    mode = model.training
    with torch.no_grad():
        try:
            logits = model.eval()(ids)[0]
        finally:
            model.train(mode)
    logp = logits.double().log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    ends = [(len(row) - len(a) - 1, len(row) - 1) for row, a in zip(rows, after, strict=True)]
    return torch.stack([line[s:e].sum() for line, (s, e) in zip(logp, ends, strict=True)])


def evaluate_multiple_choice(model, tok, items, *, normalize="none", max_seq_len=None):
    length = {"none": lambda e: 1, "tokens": lambda e: len(tok.encode(e)), "bytes": lambda e: len(e.encode())}
    if normalize not in length or not len(items):
        raise ValueError("normalize or items")
    hits = []
    for item in items:
        endings, label = item["endings"], item["label"]
        if len(endings) < 2 or label not in range(len(endings)):
            raise ValueError("label")
        logp = ending_log_likelihoods(model, tok, item["context"], endings, max_seq_len=max_seq_len)
        scores = [x / length[normalize](e) for x, e in zip(logp.tolist(), endings, strict=True)]
        hits.append(max(range(len(endings)), key=scores.__getitem__) == label)
    acc = sum(hits) / len(hits)
    chance = fmean(1 / len(item["endings"]) for item in items)
    return EvalResult(acc=acc, stderr=(acc * (1 - acc) / len(hits)) ** 0.5, n=len(hits), baseline=chance)


def distinguishable_from_chance(result, z=1.96):
    p = result.baseline
    return (result.acc - p) ** 2 > z * z * p * (1 - p) / result.n


def agreement(a, b):
    if len(a) != len(b) or not len(a):
        raise ValueError("lengths")
    n = len(a)
    same = sum(x == y for x, y in zip(a, b, strict=True)) * n
    counts = Counter(b)
    chance = sum(counts[x] for x in a)
    return 1.0 if chance == n * n else (same - chance) / (n * n - chance)


def parse_scores(reply, scale):
    lines = [line.strip() for line in reply.split("\n")]
    pattern = re.compile(r"([AB])\s*:\s*(-?[0-9]+(?:\.[0-9]+)?)")
    found = [match.groups() for match in map(pattern.fullmatch, lines) if match]
    if sorted(name for name, _ in found) != ["A", "B"]:
        return None
    points = {name: float(number) for name, number in found}
    return (points["A"], points["B"]) if all(scale[0] <= x <= scale[1] for x in points.values()) else None


def judge(items, *, client, scale=(0, 100), swap=True, repeats=1):
    lost, calls, both = 0, 0, []
    for item in items:
        orders = []
        for x, y in [("a", "b"), ("b", "a")][: 1 + swap]:
            fields = {"instruction": item["instruction"], "first": item[x], "second": item[y]}
            prompt = JUDGE_PROMPT.format(**fields, low=scale[0], high=scale[1])
            replies = [parse_scores(client(prompt), scale) for _ in range(repeats)]
            good = [r for r in replies if r]
            lost, calls = lost + repeats - len(good), calls + repeats
            if good:
                orders.append({x: fmean(r[0] for r in good), y: fmean(r[1] for r in good)})
        if len(orders) == 1 + swap:
            both.append(orders)
    a = sum(all(o["a"] > o["b"] for o in orders) for orders in both)
    b = sum(all(o["a"] < o["b"] for o in orders) for orders in both)
    odd = sum({(o["a"] > o["b"]) - (o["a"] < o["b"]) for o in orders} == {1, -1} for orders in both)
    means = [fmean(fmean(o[k] for o in orders) for orders in both) if both else float("nan") for k in "ab"]
    return JudgeResult(len(both), *means, a, b, len(both) - a - b, odd, calls, lost)
