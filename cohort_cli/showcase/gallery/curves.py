"""A run's curves: a drawing for each measure, and the numbers behind it as a table to unfold.

The drawings are made of the entry's numbers alone, so there is nobody's text in them. They are thinned, because a page
is read on a phone: means of neighbours, at most so many points as the width can show.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from cohort_cli.training.svg import Series, chart

MOST_POINTS, MOST_MEASURED, MOST_ROWS = 70, 20, 20  # of a thin line, of one with markers, of a table
WIDTH, HEIGHT = 480, 300  # pixels: drawn narrow, so that its letters can be read on a phone too
Row = dict[str, Any]
Points = list[tuple[float, float]]


def figures(rows: Sequence[Row], vocabulary: int | None) -> str:
    """Every curve that the rows have numbers for; "" if there are none."""
    train, held_out = points(rows, "loss"), points(rows, "validation_loss")
    found = []
    if train or held_out:
        guess = [(f"guessing among {vocabulary:,} tokens", math.log(vocabulary))] if vocabulary else []
        lines = {"training": train, "validation": held_out}
        found.append(_figure("Loss", "nats per token", lines, guess))
    if per_byte := points(rows, "bits_per_byte"):
        found.append(_figure("Bits per byte", "bits per byte", {"validation": per_byte}, []))
    return "".join(found)


def points(rows: Sequence[Row], key: str) -> Points:
    return [(float(row["step"]), float(row[key])) for row in rows if key in row]


def means(found: Points, most: int) -> Points:
    """At most so many points: each the mean of neighbours. The last one stays as it is, for it is what was reached."""
    if len(found) <= most:
        return found
    body, last = found[:-1], found[-1]
    edges = [round(n * len(body) / (most - 1)) for n in range(most)]
    groups = [body[a:b] for a, b in pairwise(edges)]
    return [*((_mean(x for x, _ in group), _mean(y for _, y in group)) for group in groups), last]


def _mean(values: Any) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)


def spread(found: Points, most: int) -> Points:
    """The first, the last, and others between them at equal distances."""
    if len(found) <= most:
        return found
    return [found[round(n * (len(found) - 1) / (most - 1))] for n in range(most)]


def _figure(title: str, unit: str, lines: dict[str, Points], known: list[tuple[str, float]]) -> str:
    lines = {name: found for name, found in lines.items() if found}
    series = [
        Series(name, means(found, MOST_POINTS), thin=True)
        if name == "training"
        else Series(name, spread(found, MOST_MEASURED))
        for name, found in lines.items()
    ]
    says = _says(title, lines, known)
    colour = 0 if "training" in lines else 1  # validation has the same one in every drawing
    drawn = _smaller(
        chart(title, series, "step", unit, known, says, width=WIDTH, height=HEIGHT, first_colour=colour)
    )
    return (
        f'<figure class="drawing">{drawn}<figcaption>{html.escape(says)}</figcaption></figure>'
        f"{_table(title, unit, lines)}"
    )


def _says(title: str, lines: dict[str, Points], known: list[tuple[str, float]]) -> str:
    parts = []
    for name, found in lines.items():
        first, last = found[0][1], found[-1][1]
        lowest = min(y for _, y in found)
        parts.append(f"{name} from {first:.4g} to {last:.4g}, at best {lowest:.4g}")
    parts += [f"{name}: {value:.4g}" for name, value in known]
    return f"{title} by step: {'; '.join(parts)}."


def _smaller(drawn: str) -> str:
    """The same drawing in fewer bytes: its description stands below it too, and a line's markers become one path."""
    drawn = re.sub(r"<desc>.*?</desc>| xmlns=\"[^\"]*\"| font-family=\"[^\"]*\"", "", drawn)
    drawn = drawn.replace(".0 ", " ").replace('.0"', '"').replace(".0L", "L")
    return re.sub(r'(?:<circle [^>]* r="3.5" fill="#\w+"/>){2,}', _dots, drawn)


def _dots(found: re.Match[str]) -> str:
    places = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', found[0])
    colour = found[0].rpartition('fill="')[2][:7]
    dots = "".join(f"M{x} {y}h0" for x, y in places)
    return f'<path class="dots" stroke="{colour}" d="{dots}"/>'


def _table(title: str, unit: str, lines: dict[str, Points]) -> str:
    """The numbers of the drawing, for who does not see it: at most MOST_ROWS rows."""
    each = MOST_ROWS // len(lines)
    thinned = {name: dict(spread(found, each)) for name, found in lines.items()}
    steps = sorted({step for found in thinned.values() for step in found})
    head = "".join(f'<th scope="col">{name}</th>' for name in ("step", *thinned))
    body = "".join(
        f"<tr><td>{step:,.0f}</td>"
        + "".join(f"<td>{_cell(found.get(step))}</td>" for found in thinned.values())
        + "</tr>"
        for step in steps
    )
    return (
        f"<details><summary>{title} as a table</summary>"
        f'<table class="cohort-numbers"><caption>{title}, {unit}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></details>"
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
