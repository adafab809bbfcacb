"""Curves made of characters, for terminals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=+*%#"
MARKS = "*o+x#@"
Points = Sequence[tuple[float, float]]


def can_draw(encoding: str | None) -> bool:
    """Whether a stream with this encoding can show block characters."""
    try:
        (BLOCKS + "░…").encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def thinned(values: Sequence[float], most: int) -> list[float]:
    """At most so many values; each is the mean of neighbours."""
    if len(values) <= most:
        return list(values)
    edges = [round(i * len(values) / most) for i in range(most + 1)]
    return [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def sparkline(values: Sequence[float], width: int, *, blocks: bool = True) -> str:
    """A row of at most `width` characters, the lowest value lowest. Without values it is empty."""
    steps = BLOCKS if blocks else ASCII
    shown = thinned([value for value in values if math.isfinite(value)], width)
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    span = high - low or 1.0
    return "".join(steps[min(int((value - low) / span * len(steps)), len(steps) - 1)] for value in shown)


def plot(
    curves: Mapping[str, Points], width: int, height: int = 12, x_label: str = "", y_label: str = ""
) -> list[str]:
    """Curves with axes, ASCII only. Each curve has a mark of its own, which the last lines name.

    Where two curves fall into one cell, the mark of the later one is seen.
    """
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return ["There is nothing to draw yet."]
    (left, right), (low, high) = (_range([point[axis] for point in points]) for axis in (0, 1))
    labels = [f"{high:.4g}", f"{low:.4g}"]
    margin = max(map(len, labels)) + 1
    columns = max(10, width - margin - 1)
    grid = [[" "] * columns for _ in range(height)]
    for mark, curve in zip(_marks(len(curves)), curves.values(), strict=True):
        for x, y in curve:
            column = round((x - left) / (right - left) * (columns - 1))
            grid[round((high - y) / (high - low) * (height - 1))][column] = mark
    lines = [y_label] if y_label else []
    for number, cells in enumerate(grid):
        label = labels[0] if number == 0 else labels[1] if number == height - 1 else ""
        lines.append(f"{label:>{margin - 1}} |{''.join(cells)}".rstrip())
    ends = f"{left:,.0f}", f"{right:,.0f}"
    lines.append(" " * margin + "+" + "-" * columns)
    middle = x_label.center(columns - len(ends[0]) - len(ends[1]))
    lines.append(" " * (margin + 1) + ends[0] + middle + ends[1])
    lines += [f"{mark} {name}" for mark, name in zip(_marks(len(curves)), curves, strict=True)]
    return lines


def _marks(count: int) -> str:
    return (MARKS * (count // len(MARKS) + 1))[:count]


def _range(values: list[float]) -> tuple[float, float]:
    """Lowest and highest; a little apart if they are the same."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
