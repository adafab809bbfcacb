"""Line charts as SVG, made of text alone: the same numbers give the same bytes, and nothing is imported.

    chart("Loss", [Series("training", points, thin=True)], "step", "nats per token", [("uniform", 4.17)], says)

A chart has axes with ticks at 1, 2 or 5 times a power of ten, a name at each line's end, and a description for those who
do not see it. Colours are Okabe and Ito's, which stay apart for every kind of colour blindness; markers and dashes
repeat what they say. `alone` makes a file of it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

TINY = 1e-290  # smaller differences leave no room for steps between them
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B07800", "#3A8FBF")
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 34, 44  # margins in pixels
MOST_POINTS = 600  # of one line
STYLE = (
    "svg{font:12px system-ui,sans-serif;color:inherit}svg text{fill:currentColor}"
    ".axis{stroke:currentColor;fill:none}.grid{stroke:currentColor;opacity:.15}"
    ".curve{fill:none;stroke-width:2}.thin{stroke-width:1;opacity:.75}"
    ".base{stroke:currentColor;stroke-dasharray:6 4;fill:none}"
)


class Series(NamedTuple):
    """One line. Points are in the order of x, and finite."""

    name: str
    points: Sequence[tuple[float, float]]
    thin: bool = False  # a thin line; else a thick one with a marker at each point


def chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    lines: Sequence[tuple[str, float]] = (),
    says: str = "",
    *,
    width: int = 720,
    height: int = 340,
    first_colour: int = 0,
) -> str:
    """An <svg> element. `lines`: (name, y) of horizontal lines. `says`: what it shows, in a sentence."""
    shown = [one._replace(points=_thinned(one.points)) for one in series if one.points]
    xs = [x for one in shown for x, _ in one.points] or [0.0]
    ys = [y for one in shown for _, y in one.points] + [y for _, y in lines] or [0.0]
    across, up = _scale(xs, LEFT, width - RIGHT), _scale(ys, height - BOTTOM, TOP)
    parts = [_axes(across, up, width, height, x_label, y_label)]
    parts += [_horizontal(name, y, up, width) for name, y in lines]
    for number, one in enumerate(shown):
        parts.append(_curve(one, COLOURS[(number + first_colour) % len(COLOURS)], across, up))
    if len(shown) > 1:
        parts.append(_legend(shown, width, first_colour))
    label = html.escape(f"{title}. {says}".strip())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui,sans-serif" font-size="12" role="img" aria-label="{label}">'
        f"<title>{html.escape(title)}</title><desc>{html.escape(says)}</desc>"
        f'<text x="{LEFT}" y="16" font-weight="bold">{html.escape(title)}</text>{"".join(parts)}</svg>'
    )


def alone(drawing: str) -> str:
    """The element as a file of its own, with its style, on white."""
    start, close, rest = drawing.partition(">")
    background = '<rect class="paper" width="100%" height="100%" fill="#fff"/>'
    return f"{start}{close}<style>{STYLE}svg{{color:#222}}</style>{background}{rest}\n"


class _Scale(NamedTuple):
    low: float
    high: float
    start: float  # pixels
    end: float
    ticks: list[float]

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    """From a bit below the lowest value to a bit above the highest."""
    low, high = min(values), max(values)
    if high - low <= max(1e-12 * max(abs(low), abs(high)), TINY):
        pad = abs(low) * 0.1 if abs(low) > TINY else 1.0
        low, high = low - pad, high + pad
    step = _nice((high - low) / 5)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    count = round((high - low) / step)
    return _Scale(low, high, start, end, [low + n * step for n in range(count + 1)])


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _axes(across: _Scale, up: _Scale, width: int, height: int, x_label: str, y_label: str) -> str:
    parts = []
    for value in up.ticks:
        y = up.place(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{width - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    for value in across.ticks:
        x = across.place(value)
        parts.append(f'<path class="axis" d="M{x:.1f} {height - BOTTOM}v5"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{height - BOTTOM + 18}" text-anchor="middle">{_number(value)}</text>'
        )
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{height - BOTTOM}H{width - RIGHT}"/>')
    middle = (LEFT + width - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.1f}" y="{height - 8}" text-anchor="middle">{html.escape(x_label)}</text>'
    )
    across_middle = (TOP + height - BOTTOM) / 2
    parts.append(
        f'<text transform="translate(13 {across_middle:.1f}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_label)}</text>"
    )
    return "".join(parts)


def _horizontal(name: str, y: float, up: _Scale, width: int) -> str:
    place = up.place(y)
    return (
        f'<path class="base" d="M{LEFT} {place:.1f}H{width - RIGHT}"/>'
        f'<text x="{width - RIGHT - 4}" y="{place - 5:.1f}" text-anchor="end">{html.escape(name)}</text>'
    )


def _curve(one: Series, colour: str, across: _Scale, up: _Scale) -> str:
    places = [(across.place(x), up.place(y)) for x, y in one.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    kind = "curve thin" if one.thin else "curve"
    drawn = f'<path class="{kind}" stroke="{colour}" d="{path}"/>'
    if not one.thin:
        drawn += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places)
    return drawn


def _legend(shown: Sequence[Series], width: int, first_colour: int) -> str:
    """Names to the right above the drawing, each beside a piece of its line."""
    parts, x = [], width - RIGHT
    for number, one in reversed(list(enumerate(shown))):
        colour = COLOURS[(number + first_colour) % len(COLOURS)]
        x -= 7 * len(one.name) + 34
        kind = "curve thin" if one.thin else "curve"
        parts.append(f'<path class="{kind}" stroke="{colour}" d="M{x} 12h22"/>')
        if not one.thin:
            parts.append(f'<circle cx="{x + 11}" cy="12" r="3.5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 27}" y="16">{html.escape(one.name)}</text>')
    return "".join(parts)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MOST_POINTS: each the mean of neighbours."""
    most = MOST_POINTS
    if len(points) <= most:
        return list(points)
    edges = [round(n * len(points) / most) for n in range(most + 1)]
    groups = [points[a:b] for a, b in pairwise(edges)]
    return [
        (math.fsum(x for x, _ in group) / len(group), math.fsum(y for _, y in group) / len(group))
        for group in groups
    ]


def _number(value: float) -> str:
    """A tick's number, short: 0.0003, 1.5, 20,000, 3e-07."""
    if abs(value) < 1e-12:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
