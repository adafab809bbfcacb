from __future__ import annotations

import torch


class Writer:
    def __init__(self, chances, dice):
        self.chances, self.dice = chances, dice
        self.memory = chances.dim() - 1

    def next(self, text):
        row = self.chances
        for letter in text[len(text) - self.memory :]:
            row = row[letter]
        return draw(row, self.dice)


def draw(row, dice):
    """By hand: where a random number falls among the sums."""
    point = torch.rand((), generator=dice, dtype=torch.float64) * row.double().sum()
    reached = row.double().cumsum(0)
    return int((reached <= point).sum().clamp(max=int(row.nonzero().max())))


def generate(chances, beginning, how_many, dice):
    writer = Writer(chances, dice)
    if len(beginning) < writer.memory:
        raise ValueError("too short")
    text = [int(letter) for letter in beginning]
    for _ in range(how_many):
        text.append(writer.next(text))
    return text
