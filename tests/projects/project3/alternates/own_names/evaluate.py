"""Evaluation; what has to do with the referee is in referee.py."""

import math
from dataclasses import dataclass

import referee
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


class Listener:
    """A model that is asked how likely a text is."""

    def __init__(self, network, reader, window):
        self.network, self.reader, self.window = network, reader, window

    def ids(self, text):
        found = list(self.reader.encode(text))
        if not found:
            raise ValueError(f"no token in {text!r}")
        return found

    def nats(self, start, rest):
        whole = (start + rest)[-self.window :] if self.window else start + rest
        if len(whole) == len(rest):
            raise ValueError("nothing is left before the ending")
        scores = self.network(torch.tensor(whole)[None, :])[0][0]
        place = len(whole) - len(rest)
        wanted = torch.arange(place - 1, len(whole) - 1)
        rows = torch.log_softmax(scores.double(), dim=-1)[wanted]
        return rows[torch.arange(len(rest)), torch.tensor(rest)].sum()


def ending_log_likelihoods(model, tok, context, endings, *, max_seq_len=None):
    listener = Listener(model, tok, max_seq_len)
    start = listener.ids(context)
    rests = [listener.ids(ending) for ending in endings]
    if max_seq_len is not None and max(map(len, rests)) >= max_seq_len:
        raise ValueError("an ending fills the window")
    state = model.training
    torch_grad = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    model.eval()
    try:
        return torch.stack([listener.nats(start, rest) for rest in rests])
    finally:
        torch.set_grad_enabled(torch_grad)
        model.train(state)


def evaluate_multiple_choice(model, tok, items, *, normalize="none", max_seq_len=None):
    divide = {"none": None, "tokens": tok.encode, "bytes": str.encode}
    if normalize not in divide:
        raise ValueError(f"normalize={normalize}")
    by = divide[normalize]
    right = asked = guessed = 0
    for question in items:
        options, truth = question["endings"], question["label"]
        if not (len(options) >= 2 and 0 <= truth <= len(options) - 1):
            raise ValueError("this question has no right answer")
        nats = ending_log_likelihoods(model, tok, question["context"], options, max_seq_len=max_seq_len)
        marks = [n if by is None else n / len(by(o)) for n, o in zip(nats.tolist(), options, strict=True)]
        right += marks.index(max(marks)) == truth
        asked += 1
        guessed += 1 / len(options)
    if not asked:
        raise ValueError("no questions")
    share = right / asked
    return EvalResult(share, math.sqrt(right * (asked - right) / asked) / asked, asked, guessed / asked)


def distinguishable_from_chance(result, z=1.96):
    luck = result.baseline
    gap = abs(result.acc - luck)
    return gap > z * math.sqrt(luck * (1 - luck) / result.n)


def agreement(a, b):
    if len(a) != len(b) or len(a) < 1:
        raise ValueError("the raters saw different items")
    size = len(a)
    equal = sum(1 for x, y in zip(a, b, strict=True) if x == y)
    lucky = sum(sum(1 for y in b if y == x) for x in a) / size
    return (equal - lucky) / (size - lucky) if lucky < size else 1.0


def parse_scores(reply, scale):
    pair = tuple(referee.line_value(reply, letter) for letter in ("A", "B"))
    if any(points is None or points < scale[0] or points > scale[1] for points in pair):
        return None
    return pair


def judge(items, *, client, scale=(0, 100), swap=True, repeats=1):
    unread = asked = 0
    kept = []
    for item in items:
        verdicts = referee.Verdicts(item)
        for first in "ab"[: 2 if swap else 1]:
            second = "b" if first == "a" else "a"
            prompt = JUDGE_PROMPT.format(
                low=scale[0],
                high=scale[1],
                instruction=item["instruction"],
                first=item[first],
                second=item[second],
            )
            read = []
            for _ in range(repeats):
                asked += 1
                points = parse_scores(client(prompt), scale)
                if points is None:
                    unread += 1
                else:
                    read.append(points)
            verdicts.add(first, read)
        if verdicts.complete:
            kept.append(verdicts)
    leaders = [verdicts.leaders() for verdicts in kept]
    won, lost = leaders.count({"a"}), leaders.count({"b"})
    return JudgeResult(
        n=len(kept),
        score_a=referee.average(v.points("a") for v in kept),
        score_b=referee.average(v.points("b") for v in kept),
        wins_a=won,
        wins_b=lost,
        ties=len(kept) - won - lost,
        inconsistent=sum({"a", "b"} <= one for one in leaders),
        calls=asked,
        unparsed=unread,
    )
