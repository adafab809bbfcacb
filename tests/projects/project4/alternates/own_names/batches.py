"""Where the next windows come from."""

import torch


class Deck:
    """All starts, shuffled; dealt out, then shuffled again: each comes as often as any other."""

    def __init__(self, text, span, rng):
        self.text, self.span, self.rng = text, span, rng
        self.left = []

    def deal(self, hands):
        while len(self.left) < hands:
            self.left += torch.randperm(len(self.text) - self.span, generator=self.rng).tolist()
        starts, self.left = self.left[:hands], self.left[hands:]
        return torch.stack([self.text[s : s + self.span + 1] for s in starts])
