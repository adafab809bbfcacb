"""Reads a referee's verdict, and sums up several."""

import math


class Verdicts:
    """All replies about one pair, by the answer that stood first."""

    def __init__(self, pair):
        self.pair = pair
        self.by_first = {}

    def add(self, first, replies):
        """replies: (points of the first, points of the second), readable ones only."""
        second = "b" if first == "a" else "a"
        if replies:
            n = len(replies)
            self.by_first[first] = {
                first: sum(r[0] for r in replies) / n,
                second: sum(r[1] for r in replies) / n,
            }
        else:
            self.by_first[first] = None

    @property
    def complete(self):
        return None not in self.by_first.values()

    def points(self, name):
        return sum(one[name] for one in self.by_first.values()) / len(self.by_first)

    def leaders(self):
        found = set()
        for one in self.by_first.values():
            found.add("a" if one["a"] > one["b"] else "b" if one["b"] > one["a"] else "-")
        return found


def line_value(reply, letter):
    """The number in the one line of this letter, or None."""
    values = []
    for line in reply.replace("\r", "").split("\n"):
        parts = line.split(":")
        if len(parts) != 2 or parts[0].strip(" \t") != letter:
            continue
        word = parts[1].strip(" \t")
        digits = word.removeprefix("-").split(".")
        if len(digits) <= 2 and all(d and set(d) <= set("0123456789") for d in digits):
            values.append(float(word))
    return values[0] if len(values) == 1 else None


def average(values):
    values = list(values)
    return math.fsum(values) / len(values) if values else math.nan
