"""Draws the figures of unit 4 from the reference's own run, in about ten seconds: python make_4.py

numbers() is what the figures and the unit's page say; a test compares them.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from cohort_cli.training import svg

HERE = Path(__file__).resolve().parent
DEPTH, WIDTH, BATCH, SEED = 50, 256, 256, 0
SETTINGS = {  # name in the figure: (non-linearity, deviation of the weights)
    "tanh 0.02": ("tanh", 0.02),
    "tanh 1": ("tanh", 1.0),
    "tanh 5/3": ("tanh", 5 / 3 / math.sqrt(WIDTH)),
    "ReLU 1": ("relu", 1 / math.sqrt(WIDTH)),
    "ReLU √2": ("relu", math.sqrt(2 / WIDTH)),
}
SEEDS = 20  # for the spread of the ReLU towers
STYLE = "<style>svg { color: #1f2328 } @media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }</style>"
CELL = 54  # of the grids, in pixels


def reference() -> SimpleNamespace:
    """The reference's own modules, imported from its folder and forgotten again by everyone else."""
    folder = str(HERE.parent / "reference")
    names = ("variance", "depth", "norms", "trap")
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, folder)
    try:
        return SimpleNamespace(**{name: __import__(name) for name in names})
    finally:
        sys.path.remove(folder)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers() -> dict[str, Any]:
    """Everything that is drawn or said."""
    torch.set_num_threads(1)
    ours = reference()
    tower = ours.depth
    forward, backward, shares = {}, {}, {}
    for name, (word, std) in SETTINGS.items():
        forward[name] = tower.report(DEPTH, WIDTH, std, word, seeded(SEED), BATCH)
        backward[name] = tower.gradient_report(DEPTH, WIDTH, std, word, seeded(SEED), BATCH)
        if word == "tanh":
            x, weights = tower.draw(DEPTH, WIDTH, std, seeded(SEED), BATCH)
            shares[name] = ours.variance.saturated(ours.variance.activations(x, weights, word)[-1])
    spread = {
        name: sorted(tower.report(DEPTH, WIDTH, std, word, seeded(seed), BATCH)[-1] for seed in range(SEEDS))
        for name, (word, std) in SETTINGS.items()
        if word == "relu"
    }
    return {
        "forward": forward,
        "backward": backward,
        "saturated": shares,
        "spread": spread,
        "leak": leak(ours.norms),
    }


def leak(norms: Any, B: int = 3, T: int = 6, d: int = 8) -> dict[str, list[list[float]]]:
    """How far each output moves when token 2 of sequence 1 is replaced, under either norm."""
    generator = seeded(SEED)
    x, other = torch.randn(B, T, d, generator=generator), 3 * torch.randn(d, generator=generator)
    with torch.no_grad():
        return {
            "BatchNorm, training mode": norms.influence(norms.BatchNorm1d(d), x, 1, 2, other).tolist(),
            "LayerNorm": norms.influence(norms.LayerNorm(d), x, 1, 2, other).tolist(),
        }


def curves(title: str, values: dict[str, list[float]], y_label: str, says: str) -> str:
    """One line for each setting; the y axis is in powers of ten."""
    series = [
        svg.Series(name, [(layer + 1, math.log10(value)) for layer, value in enumerate(one)], thin=True)
        for name, one in values.items()
    ]
    return svg.alone(svg.chart(title, series, "layer", y_label, says=says, width=760))


def grids(values: dict[str, list[list[float]]]) -> str:
    """Two grids of numbers, sequences down and tokens across; the replaced token has a thick border."""
    parts = []
    for place, (name, rows) in enumerate(values.items()):
        left = 70 + place * (CELL * len(rows[0]) + 40)
        parts.append(f'<text x="{left}" y="20" font-weight="bold">{name}</text>')
        for t in range(len(rows[0])):
            parts.append(
                f'<text x="{left + (t + 0.5) * CELL:.0f}" y="44" text-anchor="middle">token {t}</text>'
            )
        for b, row in enumerate(rows):
            top = 52 + b * 36
            if place == 0:
                parts.append(f'<text x="62" y="{top + 23}" text-anchor="end">seq {b}</text>')
            for t, value in enumerate(row):
                x = left + t * CELL
                shade = min(1.0, value / 2) * 0.6 + 0.1 if value > 0 else 0.0
                wide = 3 if (b, t) == (1, 2) else 1
                parts.append(
                    f'<rect x="{x}" y="{top}" width="{CELL - 4}" height="32" fill="#0072B2" fill-opacity="{shade:.2f}" '
                    f'stroke="currentColor" stroke-width="{wide}"/>'
                    f'<text x="{x + CELL / 2 - 2:.0f}" y="{top + 21}" text-anchor="middle">{value:.2f}</text>'
                )
    width = 70 + 2 * CELL * len(rows[0]) + 50
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 170" width="{width}" height="170" '
        f'font-family="sans-serif" font-size="12" fill="currentColor">{STYLE}'
        f"<title>Who feels one replaced token</title>{''.join(parts)}</svg>\n"
    )


def main() -> None:
    found = numbers()
    files = {
        "towers.svg": curves(
            "Forwards", found["forward"], "log10 of the deviation", "Deviation after each of 50 layers."
        ),
        "towers_back.svg": curves(
            "Backwards",
            found["backward"],
            "log10 of the gradient's deviation",
            "Gradients at each of 50 layers.",
        ),
        "leak.svg": grids(found["leak"]),
    }
    for name, text in files.items():
        (HERE / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
