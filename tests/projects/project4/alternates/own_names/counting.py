"""Runs of tokens, for usecase.py."""


class Suffixes:
    """All endings of a text in alphabetical order: what begins alike stands together."""

    def __init__(self, text):
        self.text = list(text)
        self.order = sorted(range(len(self.text)), key=lambda i: self.text[i:])

    def longest_start_of(self, wanted):
        """How many tokens of the beginning of `wanted` stand somewhere in the text."""
        low, high = 0, len(self.order)
        while low < high:
            middle = (low + high) // 2
            if self.text[self.order[middle] :] < wanted:
                low = middle + 1
            else:
                high = middle
        near = [self.order[i] for i in (low - 1, low) if 0 <= i < len(self.order)]
        return max((common(self.text[i:], wanted) for i in near), default=0)


def common(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
