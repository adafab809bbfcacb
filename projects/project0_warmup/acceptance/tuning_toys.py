"""Brought to the member's code by the checks of `tuning`: factories of models, and a model with all kinds of numbers."""

import torch
from torch import nn


class Quiet(nn.Module):
    """A small network without chance: the embeddings of the window, their sum, tanh, output. It notes its batches."""

    def __init__(self, context, embed, out):
        super().__init__()
        self.context = context
        self.embed, self.out = nn.Parameter(embed.clone()), nn.Parameter(out.clone())
        self.seen = []

    def forward(self, x):
        self.seen.append(x.clone())
        return torch.tanh(self.embed[x].sum(1)) @ self.out


class Breaks(nn.Module):
    """A table whose output is not a number once a weight is larger than 50."""

    def __init__(self, context, table):
        super().__init__()
        self.context = context
        self.table = nn.Parameter(table.clone())

    def forward(self, x):
        broken = float("nan") if bool((self.table.abs() > 50).any()) else 0.0
        return self.table[x[:, -1]] + broken


class Mixed(nn.Module):
    """6 + 20 + 20 + 5 numbers that training changes, one matrix under two names, 12 frozen ones, and a buffer of 7."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(6))
        self.first, self.second = nn.Linear(4, 5), nn.Linear(4, 5)
        self.first.bias = None
        self.again = self.first.weight
        self.frozen = nn.Parameter(torch.ones(3, 4), requires_grad=False)
        self.register_buffer("mask", torch.ones(7))


def layer(inputs, outputs):
    return nn.Linear(inputs, outputs)


def sweep(kind, given, ids, lrs, steps, batch_size, seed, noise=0):
    """What lr_range gives, and the batches that each of the models saw, in the order in which they were made."""
    from tuning import lr_range

    made = []

    def make_model():
        made.append({"Quiet": Quiet, "Breaks": Breaks}[kind](*given))
        return made[-1]

    torch.default_generator.manual_seed(noise)
    losses = lr_range(make_model, ids, lrs, steps, batch_size, seed)
    return losses, [getattr(model, "seen", []) for model in made]
