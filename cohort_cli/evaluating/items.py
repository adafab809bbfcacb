"""One question of a benchmark, and what the model made of it. No torch."""

from __future__ import annotations

from typing import NamedTuple


class Item(NamedTuple):
    """A context, and the texts that may follow it. The model is asked how likely each of them is.

    With one choice alone, the question is whether the model itself would write it.
    """

    id: str
    context: str
    choices: tuple[str, ...]  # each with the blank that stands before it
    gold: int  # which of them is right
    group: str = ""  # what it is counted under: MMLU's subject, LAMBADA's word
    head: str = ""  # stands before everything
    examples: tuple[
        str, ...
    ] = ()  # worked examples between head and context; fewer where the model's context is short

    def prompt(self, shots: int) -> str:
        """Head, the first `shots` worked examples, and the context."""
        return self.head + "".join(self.examples[:shots]) + self.context


class Scored(NamedTuple):
    """What the model made of an item. One number per choice in each list."""

    id: str
    gold: int
    group: str
    logprobs: list[float]  # nats: the sum over the choice's tokens
    tokens: list[int]
    bytes: list[int]  # of the choice's text as UTF-8, the blank before it included
    greedy: list[bool]  # whether each of its tokens was the likeliest
    shots: int  # worked examples that fitted
    cut: bool  # even without them it was too long for the model, and lost its beginning

    def best(self, per: str = "") -> int:
        """The likeliest choice; the first of equals. `per` "tokens" or "bytes": the likeliest by the mean over these."""
        sizes = getattr(self, per) if per else [1] * len(self.logprobs)
        means = [logprob / size for logprob, size in zip(self.logprobs, sizes, strict=True)]
        return means.index(max(means))
