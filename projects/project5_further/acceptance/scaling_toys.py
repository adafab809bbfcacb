"""Small modules for the step `scaling`: what counts as a parameter, and what is a table."""

import torch
from torch import nn


class Toy(nn.Module):
    """A little of everything: two tables, a layer with two names, a gain, a buffer, and a head that may be tied."""

    def __init__(self, words, length, width, hidden, tied):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Embedding(length, width)
        self.embedded_up = nn.Linear(width, hidden)  # no table, whatever its name says
        self.again = self.embedded_up
        self.gain = nn.Parameter(torch.ones(width))
        self.down = nn.Linear(hidden, width, bias=False)
        self.head = nn.Linear(width, words)
        self.register_buffer("seen", torch.ones(length, length))
        if tied:
            self.head.weight = self.words.weight

    def freeze(self):
        """The down projection and the table of places are not trained."""
        self.down.requires_grad_(False)
        self.places.requires_grad_(False)
