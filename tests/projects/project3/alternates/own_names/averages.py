"""A helper file of the member's own."""


class Average:
    """A weighted mean that grows."""

    def __init__(self):
        self.total, self.weight = 0.0, 0

    def add(self, value, weight):
        if weight:
            self.total += value.item() * weight
            self.weight += weight

    def value(self):
        if not self.weight:
            raise ValueError("nothing was added")
        return self.total / self.weight
