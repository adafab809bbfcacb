"""Draws the pictures of unit W1 from the reference's own run: `python make_1.py` writes two SVG files beside it.

It needs the kit (`cohort_cli`) and takes about one second. Seeds are fixed, so the same machine gives the same bytes.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import Any

from cohort_cli.training.svg import Series, alone, chart

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "reference"))

from engine import Value, topological  # noqa: E402
from gates import AND, MLP, OR, XOR, Neuron, count_right, train  # noqa: E402

STEPS, NET_STEPS, LR, NET_LR = 200, 1000, 1.0, 2.0
PLACES = {"a": (0, 0), "b": (0, 2), "c": (1, 1), "d": (2, 0), "L": (3, 1)}  # column and row in the picture
WIDTH, HEIGHT, LEFT, TOP, ACROSS, DOWN = 118, 62, 10, 10, 172, 84  # pixels


def expression() -> Value:
    """c = a * b, d = c + a, L = d * c, after backward()."""
    a, b = Value(2.0, "a"), Value(3.0, "b")
    c = a * b
    d = c + a
    L = d * c
    for value, label in ((c, "c"), (d, "d"), (L, "L")):
        value.label = label
    L.backward()
    return L


def numbers() -> dict[str, Any]:
    """All that the pictures and the page say, measured anew."""
    found: dict[str, Any] = {"graph": {v.label: (v.data, v.grad) for v in topological(expression())}}
    for name, data in (("AND", AND), ("OR", OR), ("XOR", XOR)):
        neuron = Neuron(2, activate=False, rng=random.Random(0))
        losses = train(neuron, data, STEPS, LR)
        found[name] = {"losses": losses, "right": count_right(neuron, data)}
    nets = []
    for seed in range(10):
        net = MLP(2, [2], rng=random.Random(seed))
        losses = train(net, XOR, NET_STEPS, NET_LR)
        nets.append({"losses": losses, "right": count_right(net, XOR)})
    return {**found, "nets": nets}


def graph_drawing(root: Value) -> str:
    """Boxes with label, data and grad; an arrow for each use."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="654" height="250" viewBox="0 0 654 250" '
        'font-family="sans-serif" font-size="14" fill="currentColor">',
        "<title>The graph of c = a * b, d = c + a, L = d * c</title>",
        "<desc>Five boxes from left to right, with an arrow from each Value to what was computed from it.</desc>",
        "<style>svg { color: #1f2328 } @media (prefers-color-scheme: dark) { svg { color: #e6edf3 } "
        ".blue { color: #6cb9e6 } .vermillion { color: #ff9a52 } }</style>",
    ]
    order = topological(root)
    for node in order:
        for parent in node.parents:
            parts.append(_arrow(PLACES[parent.label], PLACES[node.label]))
    for node in order:
        x, y = _corner(PLACES[node.label])
        name = f"{node.label} = {_formula(node)}" if node.parents else node.label
        parts += [
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="none" stroke="currentColor"/>',
            f'<text x="{x + 10}" y="{y + 19}" font-weight="bold">{name}</text>',
            f'<text x="{x + 10}" y="{y + 37}" class="blue" color="#0072B2">data {node.data:g}</text>',
            f'<text x="{x + 10}" y="{y + 54}" class="vermillion" color="#D55E00">grad {node.grad:g}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _formula(node: Value) -> str:
    return f" {node.op} ".join(parent.label for parent in node.parents)


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return LEFT + place[0] * ACROSS, TOP + place[1] * DOWN


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """From the right side of one box to the left side of another, a little higher or lower where it comes from there."""
    (x1, y1), (x2, y2) = _corner(start), _corner(end)
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT // 2, y2 + HEIGHT // 2 + 12 * ((y1 > y2) - (y1 < y2))
    length = math.hypot(x2 - x1, y2 - y1)
    along, across = (x2 - x1) / length, (y2 - y1) / length
    back_x, back_y = x2 - 10 * along, y2 - 10 * across
    tip = f"M{x2} {y2}L{back_x - 4 * across:.1f} {back_y + 4 * along:.1f}"
    tip += f"L{back_x + 4 * across:.1f} {back_y - 4 * along:.1f}Z"
    return f'<path d="M{x1} {y1}L{x2} {y2}" stroke="currentColor" fill="none"/><path d="{tip}"/>'


def curves(found: dict[str, Any]) -> str:
    """The losses of one neuron on three gates, and of the network 2-2-1 on XOR."""
    series = [
        Series(name, list(enumerate(found[name]["losses"])), thin=True) for name in ("AND", "OR", "XOR")
    ]
    net = found["nets"][0]["losses"][:STEPS]
    series.append(Series("XOR, net 2-2-1", list(enumerate(net)), thin=True))
    says = (
        "One neuron learns AND and OR. On XOR it stays at ln 2; a network with two hidden neurons does not."
    )
    lines = [("ln 2 = 0.693", math.log(2))]
    return alone(chart("Log loss", series, "step", "log loss in nats", lines, says))


def main() -> None:
    found = numbers()
    (HERE / "graph.svg").write_text(graph_drawing(expression()), encoding="utf-8", newline="\n")
    (HERE / "gates.svg").write_text(curves(found), encoding="utf-8", newline="\n")
    print(found["graph"])
    for name in ("AND", "OR", "XOR"):
        print(
            name,
            *(f"{x:.4f}" for x in (found[name]["losses"][0], found[name]["losses"][-1])),
            found[name]["right"],
        )
    print([(net["right"], round(net["losses"][-1], 3)) for net in found["nets"]])
    for step in (0, 50, 100, 150, 199, 499):
        print(step, f"{found['nets'][0]['losses'][step]:.4f}")


if __name__ == "__main__":
    main()
