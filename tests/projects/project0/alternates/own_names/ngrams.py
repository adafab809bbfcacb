from __future__ import annotations

import torch
from letters import Alphabet


class CountingModel:
    """Counts and probabilities of one order."""

    def __init__(self, order, size):
        self.order, self.size = order, size
        self.seen = torch.zeros(size**order, dtype=torch.int64)

    def place(self, stream):
        """Each gram as one number in base `size`."""
        length = stream.numel() - self.order + 1
        code = torch.zeros(length, dtype=torch.int64)
        for step in range(self.order):
            code = code * self.size + stream.narrow(0, step, length)
        return code

    def read(self, stream):
        code = self.place(stream)
        self.seen.scatter_add_(0, code, torch.ones_like(code))
        return self

    @property
    def table(self):
        return self.seen.reshape([self.size] * self.order)


def vocabulary(string):
    alphabet = []
    for letter in string:
        if letter not in alphabet:
            alphabet.append(letter)
    alphabet.sort()
    return alphabet


def encode(string, alphabet):
    return torch.LongTensor(Alphabet(alphabet).numbers(string))


def decode(numbers, alphabet):
    return Alphabet(alphabet).text(numbers)


def count(stream, order, size):
    return CountingModel(order, size).read(stream).table


def probabilities(table, extra):
    size = table.shape[-1]
    below = table.sum(dim=-1).double() + extra * size
    return (table.double() + extra) / below.unsqueeze(-1)


def heldout_nll(known, unseen, order, size, extra=0.1):
    model = CountingModel(order, size).read(known)
    chances = probabilities(model.table, extra).flatten()
    surprises = -torch.log(chances.index_select(0, model.place(unseen)))
    return surprises.mean().item()
