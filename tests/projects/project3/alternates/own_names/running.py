"""A helper file of the member's own."""

import torch


class Running:
    """A running mean without bias, which lives in a dict."""

    def __init__(self, memory, name, keep):
        self.memory, self.name, self.keep = memory, name, keep

    def update(self, value):
        old, weight = self.memory.get(self.name, torch.zeros_like(value)), self.memory.get(self.name + "_w", 0.0)
        new = self.keep * old + (1 - self.keep) * value
        weight = self.keep * weight + (1 - self.keep)
        self.memory[self.name], self.memory[self.name + "_w"] = new, weight
        return new / weight
