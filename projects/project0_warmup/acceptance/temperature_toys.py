"""Brought to the member's code by the checks of `temperature`: models whose next id is known, and a way to call."""

import torch
from torch import nn


class Adds(nn.Module):
    """Sure of one id: the first of the window once, the second twice …, plus 1, modulo V. Notes what it was given."""

    def __init__(self, vocab, context):
        super().__init__()
        self.vocab, self.context = vocab, context
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.shapes, self.modes, self.tracked = [], [], []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        self.modes.append(self.training)
        self.tracked.append(torch.is_grad_enabled())
        weights = torch.arange(1, x.size(1) + 1)
        right = ((x * weights).sum(1) + 1) % self.vocab
        return 60.0 * self.scale * nn.functional.one_hot(right, self.vocab)


class Says(nn.Module):
    """The same logits whatever it sees."""

    def __init__(self, logits, context=1):
        super().__init__()
        self.context = context
        self.logits = nn.Parameter(logits)

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def write(model, start, n, temperature, seed, noise=0):
    """What generate gives with a new generator, and the ids that it was given as they are afterwards."""
    from temperature import generate

    torch.default_generator.manual_seed(noise)
    ids = list(start)
    said = generate(model, ids, n, temperature, torch.Generator().manual_seed(seed))
    return said, ids
