"""A file of the member's own: all draws go through here."""

import torch


class Dice:
    def __init__(self, generator):
        self.generator = generator

    def roll(self):
        return torch.rand(1, generator=self.generator, dtype=torch.float64).item()

    def says_yes(self, chance):
        return self.roll() < chance

    def pick(self, probs):
        """By the running sum: the first entry that is above a number between 0 and 1."""
        sums = probs.double().cumsum(0)
        return int(torch.searchsorted(sums, self.roll() * sums[-1], right=True).clamp(max=len(probs) - 1))
