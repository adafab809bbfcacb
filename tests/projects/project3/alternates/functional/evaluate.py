"""Evaluation out of small functions."""

import itertools
import math
import re
from contextlib import contextmanager
from dataclasses import dataclass
from operator import eq

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


@contextmanager
def evaluating(model):
    mode = model.training
    model.train(False)
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(mode)


def checked(condition, words):
    if not condition:
        raise ValueError(words)


def ending_log_likelihoods(model, tok, context, endings, *, max_seq_len=None):
    before = tok.encode(context)
    checked(len(before) > 0, "an empty context")

    def one(ending):
        after = tok.encode(ending)
        checked(len(after) > 0, "an empty ending")
        checked(max_seq_len is None or len(after) < max_seq_len, "no room for the context")
        ids = torch.tensor(before + after)[-max_seq_len if max_seq_len else None :]
        logits, _ = model(ids[None])
        hot = torch.nn.functional.one_hot(ids[1:], logits.size(-1)).to(logits.dtype)
        normal = logits[0, :-1] - logits[0, :-1].logsumexp(-1, keepdim=True)
        return torch.einsum("tv,tv->t", normal, hot)[-len(after) :].sum()

    with evaluating(model):
        return torch.stack([*map(one, endings)])


def lengths(tok, normalize, endings):
    ways = {
        "none": lambda text: 1,
        "tokens": lambda text: len(tok.encode(text)),
        "bytes": lambda text: len(text.encode()),
    }
    checked(normalize in ways, f"no such way to normalise: {normalize}")
    return torch.tensor([*map(ways[normalize], endings)])


def evaluate_multiple_choice(model, tok, items, *, normalize="none", max_seq_len=None):
    checked(len(items) > 0, "no items")

    def right(item):
        endings, label = item["endings"], item["label"]
        checked(len(endings) > 1 and label in range(len(endings)), "a label that is no ending")
        size = lengths(tok, normalize, endings)
        scores = ending_log_likelihoods(model, tok, item["context"], endings, max_seq_len=max_seq_len) / size
        return int((scores == scores.max()).nonzero()[0]) == label

    acc = sum(map(right, items)) / len(items)
    base = math.fsum(1 / len(item["endings"]) for item in items) / len(items)
    return EvalResult(acc, error(acc, len(items)), len(items), base)


def error(p, n):
    return math.sqrt(p * (1 - p) / n)


def distinguishable_from_chance(result, z=1.96):
    return z * error(result.baseline, result.n) < abs(result.baseline - result.acc)


def agreement(a, b):
    checked(0 < len(a) == len(b), "two ratings of the same items")
    observed = sum(map(eq, a, b)) / len(a)
    expected = sum(itertools.starmap(eq, itertools.product(a, b))) / len(a) ** 2
    return 1.0 if expected == 1 else 1 - (1 - observed) / (1 - expected)


def parse_scores(reply, scale):
    def number(name):
        found = re.findall(rf"(?m)^\s*{name}\s*:\s*(-?\d+(?:\.\d+)?)\s*$", reply)
        return float(found[0]) if len(found) == 1 and scale[0] <= float(found[0]) <= scale[1] else None

    pair = number("A"), number("B")
    return None if None in pair else pair


def judge(items, *, client, scale=(0, 100), swap=True, repeats=1):
    mean = lambda values: sum(values) / len(values) if len(values) else math.nan  # noqa: E731

    def ask(item, order):
        words = dict(zip(("first", "second"), (item[name] for name in order), strict=True))
        prompt = JUDGE_PROMPT.format(**words, instruction=item["instruction"], low=scale[0], high=scale[1])
        return [parse_scores(client(prompt), scale) for _ in range(repeats)]

    def by_answer(order, replies):
        """(a, b), or None."""
        usable = [reply for reply in replies if reply is not None]
        pairs = usable if order == "ab" else [reply[::-1] for reply in usable]
        return tuple(mean(column) for column in zip(*pairs, strict=True)) or None

    orders = ("ab", "ba") if swap else ("ab",)
    asked = [{order: ask(item, order) for order in orders} for item in items]
    flat = [reply for one in asked for replies in one.values() for reply in replies]
    scored = [[by_answer(order, replies) for order, replies in one.items()] for one in asked]
    judged = [means for means in scored if None not in means]
    signs = [{(a > b) - (b > a) for a, b in means} for means in judged]
    a, b = (mean([mean([pair[i] for pair in means]) for means in judged]) for i in (0, 1))
    wins_a, wins_b = signs.count({1}), signs.count({-1})
    ties = len(judged) - wins_a - wins_b
    return JudgeResult(
        len(judged), a, b, wins_a, wins_b, ties, sum({1, -1} <= s for s in signs), len(flat), flat.count(None)
    )
