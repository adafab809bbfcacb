"""How likely a model finds each of the texts that may follow a context.

The context and the choice are turned into tokens together, and the choice's tokens are those behind the context's own;
a blank at the end of the context belongs to the choice. That is the public harness's rule, so scores can be compared.
Source: EleutherAI's lm-evaluation-harness, https://github.com/EleutherAI/lm-evaluation-harness

B batch, T time (tokens), V = vocabulary size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cohort_cli.errors import DataTrouble, UsageError
from cohort_cli.evaluating.items import Item, Scored
from cohort_cli.training.data.tokenizer import Tokenizer
from cohort_cli.training.models.gpt import GPT

ITEMS = 32  # scored together, then kept on disk
TOKENS = 2048  # per batch: (B, T, V) logits of GPT-2's vocabulary take 0.4 GB in float32


class Row(NamedTuple):
    """A context with one choice behind it."""

    ids: list[int]  # at most the model's context and one more
    choice: int  # how many of them, the last ones, are the choice's


class Answer(NamedTuple):
    """What the model says of one choice."""

    logprob: float  # nats, the sum over its tokens
    greedy: bool  # whether each of its tokens was the likeliest


def score(
    model: nn.Module, tokenizer: Tokenizer, context: int, device: torch.device, items: Sequence[Item]
) -> Iterator[list[Scored]]:
    """The items, some at a time, in order. `context`: how many tokens the model can see."""
    for first in range(0, len(items), ITEMS):
        some = items[first : first + ITEMS]
        prepared = [rows_of(item, tokenizer, context) for item in some]
        answers = answers_of(model, device, [row for found in prepared for row in found.rows])
        scored = []
        for item, found in zip(some, prepared, strict=True):
            mine = [answers.pop(0) for _ in found.rows]
            scored.append(
                Scored(
                    item.id,
                    item.gold,
                    item.group,
                    [answer.logprob for answer in mine],
                    [row.choice for row in found.rows],
                    [len(choice.encode("utf-8", "surrogatepass")) for choice in item.choices],
                    [answer.greedy for answer in mine],
                    found.shots,
                    found.cut,
                )
            )
        yield scored


class Prepared(NamedTuple):
    rows: list[Row]
    shots: int
    cut: bool


def rows_of(item: Item, tokenizer: Tokenizer, context: int) -> Prepared:
    """An item as tokens. Worked examples are left out, the last ones first, until the longest choice fits."""
    for shots in range(len(item.examples), -1, -1):
        pairs = [pair(tokenizer, item.prompt(shots), choice) for choice in item.choices]
        longest = max(len(before) + len(after) for before, after in pairs)
        if longest <= context + 1:  # the last token is predicted, and never given
            break
    rows = []
    for before, after in pairs:
        if not before or not after or len(after) > context:
            what = "has a choice longer than the model's context" if before and after else "has an empty side"
            raise UsageError(f"Item {item.id} {what}, in this model's tokens.", "Take another benchmark.")
        rows.append(Row((before + after)[-(context + 1) :], len(after)))
    return Prepared(rows, shots, longest > context + 1)


def pair(tokenizer: Tokenizer, before: str, after: str) -> tuple[list[int], list[int]]:
    """(ids of the context, ids of the choice)."""
    bare = before.rstrip()
    after, before = before[len(bare) :] + after, bare
    ids = tokenizer.encode(before)
    return ids, tokenizer.encode(before + after)[len(ids) :]


@torch.no_grad()
def answers_of(model: nn.Module, device: torch.device, rows: Sequence[Row]) -> list[Answer]:
    """One answer per row, in order. Rows of similar length share a batch, padded on the right, where nothing before
    can see it."""
    order = sorted(range(len(rows)), key=lambda number: -len(rows[number].ids))
    found: dict[int, Answer] = {}
    while order:
        width = len(rows[order[0]].ids) - 1
        numbers, order = order[: max(1, TOKENS // width)], order[max(1, TOKENS // width) :]
        given = torch.zeros(len(numbers), width, dtype=torch.int64)  # (B, T)
        for line, number in enumerate(numbers):
            ids = torch.tensor(rows[number].ids[:-1])
            given[line, : len(ids)] = ids
        logits = logits_of(model, given.to(device))
        for line, number in enumerate(numbers):
            row = rows[number]
            last = len(row.ids) - 1
            where = logits(line, slice(last - row.choice, last)).float()  # (choice, V)
            wanted = torch.tensor(row.ids[-row.choice :], device=device)
            logprobs = where.log_softmax(-1).gather(-1, wanted[:, None])
            greedy = bool((where.argmax(-1) == wanted).all())
            total = float(logprobs.double().sum())
            if not math.isfinite(total):
                repair = "Look at the run's losses, and take an earlier checkpoint: --checkpoint STEP"
                raise DataTrouble(
                    "The model's logits are no numbers (nan or inf): nothing can be scored.", repair
                )
            found[number] = Answer(total, greedy)
    return [found[number] for number in range(len(rows))]


def logits_of(model: nn.Module, ids: Tensor) -> Callable[[int, slice], Tensor]:
    """A function of a row and some of its positions, which gives their logits (positions, V).

    The kit's network makes logits of those positions alone; a member's need not know how, and makes them all.
    """
    if isinstance(model, GPT):
        hidden = model.hidden(ids)  # (B, T, C)
        return lambda row, positions: model.lm_head(hidden[row, positions])
    logits: Tensor = model(ids)[0]  # (B, T, V)
    return lambda row, positions: logits[row, positions]
