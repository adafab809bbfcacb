"""How good is it? Multiple choice with its uncertainty, agreement, and a model as judge.    Step: evaluate

B batch, T time (tokens), V = vocab_size. A model is called as model(ids), ids (B, T) int64, and gives (logits, None),
logits (B, T, V). A tokenizer has encode(text) -> list of ids.

Sources: Brown et al. 2020, section 2.4 (likelihood of each ending, and per token); the HellaSwag paper, Zellers et al.
2019; Miller 2024, "Adding Error Bars to Evals"; Cohen 1960 (kappa); Zheng et al. 2023, section 3 (position bias).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

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


def ending_log_likelihoods(
    model: nn.Module, tok: Any, context: str, endings: Sequence[str], *, max_seq_len: int | None = None
) -> Tensor:
    """log p(ending | context) in nats, for each ending. A tensor (number of endings,), float32 or better.

    Each ending is scored on its own: tok.encode(context) followed by tok.encode(ending), both as they are given (a
    leading space belongs to the ending). The sum runs over the ending's tokens only, each one given everything before
    it. The logits of a position say what comes at the next one.
    max_seq_len: if there are more tokens, the oldest are dropped, so that max_seq_len of them are left; the ending
    stays whole. None: nothing is dropped. The model may see several endings at once, padded on the right.

    The model is in eval mode meanwhile, and afterwards in the mode it was in before. No gradient is computed.
    Raises ValueError if the context or an ending has no token, or if an ending leaves no room for one token before it.
    """
    before = tok.encode(context)
    if not before:
        raise ValueError("the context has no token, so the ending's first token would be given nothing")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            found = [
                _log_likelihood(model, before, tok.encode(ending), max_seq_len, device) for ending in endings
            ]
    finally:
        model.train(was_training)
    return torch.stack(found)


def evaluate_multiple_choice(
    model: nn.Module,
    tok: Any,
    items: Sequence[Mapping[str, Any]],
    *,
    normalize: Literal["none", "tokens", "bytes"] = "none",
    max_seq_len: int | None = None,
) -> EvalResult:
    """The share of items in which the right ending is the likeliest one.

    items: dicts with "context" (text), "endings" (two or more texts) and "label" (the right ending's index). The model's
    answer is the ending with the highest score; of equal ones the first. The score is the log-likelihood: as it is
    ("none"), divided by the number of the ending's tokens ("tokens"), or by the number of its bytes in UTF-8 ("bytes").
    Without division a short ending has an advantage, since every token makes a text less likely.

    acc: right / n. stderr: sqrt(acc * (1 - acc) / n). baseline: the mean over all items of 1 / number of endings.
    Raises ValueError if there are no items, if an item has fewer than two endings, if a label is no index of an ending,
    and for another word as `normalize`.
    """
    if normalize not in ("none", "tokens", "bytes"):
        raise ValueError(f"normalize is {normalize!r}; there are 'none', 'tokens' and 'bytes'")
    if not items:
        raise ValueError("there are no items to evaluate")
    right = 0
    chances = []
    for number, item in enumerate(items):
        endings, label = item["endings"], item["label"]
        if len(endings) < 2 or not 0 <= label < len(endings):
            raise ValueError(f"item {number}: label {label} with {len(endings)} endings")
        scores = ending_log_likelihoods(model, tok, item["context"], endings, max_seq_len=max_seq_len)
        if normalize == "tokens":
            scores = scores / torch.tensor([len(tok.encode(ending)) for ending in endings])
        elif normalize == "bytes":
            scores = scores / torch.tensor([len(ending.encode("utf-8")) for ending in endings])
        right += scores.tolist().index(max(scores.tolist())) == label
        chances.append(1 / len(endings))
    n = len(items)
    acc = right / n
    return EvalResult(acc, math.sqrt(acc * (1 - acc) / n), n, sum(chances) / n)


def distinguishable_from_chance(result: EvalResult, z: float = 1.96) -> bool:
    """Is the accuracy further from the baseline than guessing would easily get, above or below?

    |acc - baseline| > z * sqrt(baseline * (1 - baseline) / n). The standard error is that of guessing, not
    result.stderr: the question is what guessing would do, and after three right answers out of three the measured error
    is 0. z = 1.96 lets guessing pass for skill in one of twenty cases. 29 % of 200 items with four endings: no.
    """
    error = math.sqrt(result.baseline * (1 - result.baseline) / result.n)
    return abs(result.acc - result.baseline) > z * error


def agreement(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """Cohen's kappa of two raters who gave each item a label: 1 is perfect, 0 is what chance gives, below 0 is worse.

    kappa = (p_o - p_e) / (1 - p_e). p_o: the share of items with equal labels. p_e: the share that would be equal by
    chance, the sum over all labels of (share in a) * (share in b). If both gave one and the same label to everything,
    p_e is 1, and kappa is 1.0. Raises ValueError if the lengths differ or there are no items.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"two ratings of the same items are needed, got {len(a)} and {len(b)} labels")
    n = len(a)
    observed = sum(x == y for x, y in zip(a, b, strict=True)) / n
    in_a, in_b = Counter(a), Counter(b)
    expected = sum(in_a[label] * in_b[label] for label in in_a) / n**2
    if expected == 1:
        return 1.0
    return (observed - expected) / (1 - expected)


def parse_scores(reply: str, scale: tuple[float, float]) -> tuple[float, float] | None:
    """The two numbers in a judge's reply: (of the first answer, of the second answer). None if it cannot be used.

    Usable is a reply with exactly one line "A: <number>" and exactly one line "B: <number>", in either order, whatever
    stands in the other lines. Spaces may stand at both ends of such a line and around the colon. A number is like 7, 7.5
    or -2, and nothing else follows it in its line ("7/10" is none). Both must lie on the scale, its ends included.
    Nothing is guessed: not the middle of the scale, not a number from another line, not the nearest end.
    """
    found = []
    for name in "AB":
        numbers = re.findall(rf"^[ \t]*{name}[ \t]*:[ \t]*(-?\d+(?:\.\d+)?)[ \t\r]*$", reply, re.MULTILINE)
        if len(numbers) != 1 or not scale[0] <= float(numbers[0]) <= scale[1]:
            return None
        found.append(float(numbers[0]))
    return found[0], found[1]


def judge(
    items: Sequence[Mapping[str, str]],
    *,
    client: Callable[[str], str],
    scale: tuple[float, float] = (0, 100),
    swap: bool = True,
    repeats: int = 1,
) -> JudgeResult:
    """Let a judge compare two answers to each request, in both orders.

    items: dicts with "instruction", "a" and "b". client: takes a prompt, returns the judge's reply; both are texts. A
    prompt is JUDGE_PROMPT with its five fields filled in. Judges prefer a place, often the first. So each item is asked
    `repeats` times with a as the first answer and b as the second, and, if swap, `repeats` times the other way round.
    A reply's numbers belong to the answers, wherever they stood.

    Within one order an answer's score is the mean over the replies that parse_scores can use; its score for the item is
    the mean over the orders. An order without any usable reply leaves the item unjudged, since the other order's
    preference for a place would stay in it. score_a, score_b: means over the judged items.

    An item is won by a if in every order a's score is higher than b's, by b likewise, and is a tie otherwise. It is
    inconsistent if one order has a higher and the other one b. calls counts all prompts, unparsed all replies that
    could not be used, in unjudged items too.
    """
    calls = unparsed = wins_a = wins_b = inconsistent = 0
    scores: list[tuple[float, float]] = []
    for item in items:
        means = []  # (a's, b's) for each order that has a usable reply
        orders = ("ab", "ba") if swap else ("ab",)
        for order in orders:
            first, second = (item[name] for name in order)
            prompt = JUDGE_PROMPT.format(
                instruction=item["instruction"], first=first, second=second, low=scale[0], high=scale[1]
            )
            replies = [parse_scores(client(prompt), scale) for _ in range(repeats)]
            usable = [reply for reply in replies if reply is not None]
            calls += len(replies)
            unparsed += len(replies) - len(usable)
            if usable:
                of_place = [sum(column) / len(usable) for column in zip(*usable, strict=True)]
                means.append((of_place[order.index("a")], of_place[order.index("b")]))
        if len(means) < len(orders):
            continue
        scores.append((_mean([a for a, _ in means]), _mean([b for _, b in means])))
        a_ahead, b_ahead = [a > b for a, b in means], [b > a for a, b in means]
        wins_a += all(a_ahead)
        wins_b += all(b_ahead)
        inconsistent += any(a_ahead) and any(b_ahead)
    return JudgeResult(
        n=len(scores),
        score_a=_mean([a for a, _ in scores]),
        score_b=_mean([b for _, b in scores]),
        wins_a=wins_a,
        wins_b=wins_b,
        ties=len(scores) - wins_a - wins_b,
        inconsistent=inconsistent,
        calls=calls,
        unparsed=unparsed,
    )


def _log_likelihood(
    model: nn.Module, before: list[int], ending: list[int], max_seq_len: int | None, device: torch.device
) -> Tensor:
    """One ending's, a tensor with one number."""
    if not ending:
        raise ValueError("an ending has no token")
    ids = before + ending
    if max_seq_len is not None:
        if len(ending) >= max_seq_len:
            raise ValueError(f"an ending has {len(ending)} tokens and max_seq_len is {max_seq_len}")
        ids = ids[-max_seq_len:]
    logits, _ = model(torch.tensor([ids], device=device))  # (1, T, V)
    # The last position predicts nothing; the token at position t is predicted at t - 1.
    predicted = logits[0, -len(ending) - 1 : -1]  # (tokens of the ending, V)
    predicted = predicted.to(torch.promote_types(predicted.dtype, torch.float32)).log_softmax(-1)
    return predicted.gather(-1, torch.tensor(ending, device=device).unsqueeze(-1)).sum()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
