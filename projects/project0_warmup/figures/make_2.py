"""Draws the figures of unit 2 from the reference's own run, in about five seconds: python make_2.py

numbers() is what the figures and the unit's page say; a test compares them.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from cohort_cli.training import corpus, svg

HERE = Path(__file__).resolve().parent
STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SHOWN = 128  # the chart's last step
RATES = (50.0, 10.0)
LETTERS = 20_000  # characters of the text in small letters
ORDERS = (1, 2, 3)
CELL, LEFT, TOP = 17, 58, 62  # of the table, in pixels
COLOURS = (
    "svg { color: #1f2328 } .blue { color: #0072B2 } "
    "@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } .blue { color: #6cb9e6 } }"
)


def reference() -> SimpleNamespace:
    """The reference's own modules, imported from its folder and forgotten again by everyone else."""
    folder = str(HERE.parent / "reference")
    names = ("ngrams", "measure", "batches", "bigram")
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, folder)
    try:
        return SimpleNamespace(**{name: __import__(name) for name in names})
    finally:
        sys.path.remove(folder)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def small_letters(text: str) -> str:
    """a to z and single spaces: what is left of a text."""
    return " ".join("".join(c if "a" <= c <= "z" else " " for c in text.lower()).split())


def numbers() -> dict[str, object]:
    """Everything that is drawn or said."""
    torch.set_num_threads(1)
    ours, text = reference(), corpus.load()
    vocabulary = ours.ngrams.vocabulary(text)
    V, ids = len(vocabulary), ours.ngrams.encode(text, vocabulary)
    train, validation = ours.batches.split(ids)
    size = len(ours.ngrams.decode(validation, vocabulary).encode())
    nats = {"uniform": math.log(V)}
    seen = {}
    for n, name in zip(ORDERS, ("unigram", "bigram", "trigram"), strict=True):
        nats[name] = ours.ngrams.heldout_nll(train, validation, n, V)
        seen[name] = int((ours.ngrams.count(train, n, V) > 0).sum())
    bits = {name: ours.measure.bits_per_byte(one, len(validation), size) for name, one in nats.items()}

    letters = small_letters(text)
    alphabet = ours.ngrams.vocabulary(letters)
    counts = ours.ngrams.count(ours.ngrams.encode(letters, alphabet), 2, len(alphabet))
    few = ours.ngrams.encode(letters[:LETTERS], alphabet)
    x, y = few[:-1], few[1:]
    shares = ours.ngrams.probabilities(ours.ngrams.count(few, 2, len(alphabet)), 1e-9)
    counted = float(ours.measure.nll(shares.log()[x], y))
    learned = {}
    for rate in RATES:
        tables = {step: ours.bigram.train(few, len(alphabet), step, rate) for step in STEPS}
        learned[rate] = {step: float(ours.measure.nll(W[x], y)) for step, W in tables.items()}
    return {
        "characters": len(text),
        "training": len(train),
        "validation": len(validation),
        "vocabulary": V,
        "nats": nats,
        "bits": bits,
        "seen": seen,
        "alphabet": alphabet,
        "table": ours.ngrams.probabilities(counts, 0.1),
        "counted": counted,
        "learned": learned,
    }


def table_drawing(alphabet: list[str], table: Tensor) -> str:
    """Rows: the character; columns: what comes next. The area of a square is the probability."""
    names = ["␣" if character == " " else character for character in alphabet]
    side = LEFT + CELL * len(names) + 12
    rows = []
    for place, name in enumerate(names):
        middle = CELL * place + CELL / 2
        rows.append(f'<text x="{LEFT - 9}" y="{TOP + middle + 4:g}" text-anchor="middle">{name}</text>')
        rows.append(f'<text x="{LEFT + middle:g}" y="{TOP - 7}" text-anchor="middle">{name}</text>')
    for a, row in enumerate(table.tolist()):
        for b, share in enumerate(row):
            width = CELL * math.sqrt(share)
            if width < 1.5:
                continue
            x, y = (edge + CELL * place + (CELL - width) / 2 for edge, place in ((LEFT, b), (TOP, a)))
            rows.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{width:.1f}"/>')
    marks = "".join(row for row in rows if row.startswith("<rect"))
    words = "".join(row for row in rows if row.startswith("<text"))
    end, middle = TOP + CELL * len(names), LEFT + CELL * len(names) / 2
    grid = "".join(
        f"M{LEFT} {TOP + CELL * n}H{LEFT + CELL * len(names)}M{LEFT + CELL * n} {TOP}V{end}"
        for n in range(len(names) + 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{end + 12}" viewBox="0 0 {side} {end + 12}" '
        f'font-family="sans-serif" font-size="12" fill="currentColor"><title>The bigram table of 27 characters</title>'
        f"<style>{COLOURS}</style>"
        f'<text x="{middle:g}" y="20" text-anchor="middle" font-size="13">what comes next</text>'
        f'<text transform="translate(20 {(TOP + end) / 2:g}) rotate(-90)" text-anchor="middle" font-size="13">'
        f"the character before</text>"
        f'<path d="{grid}" stroke="currentColor" stroke-opacity="0.15" fill="none"/>'
        f'<g font-family="monospace">{words}</g><g class="blue" fill="currentColor">{marks}</g></svg>\n'
    )


def descent_drawing(counted: float, learned: dict[float, dict[int, float]]) -> str:
    lines = [
        svg.Series(f"lr = {rate:g}", [(step, nats) for step, nats in curve.items() if step <= SHOWN])
        for rate, curve in learned.items()
    ]
    return svg.alone(
        svg.chart(
            "The loss of the learned bigram falls to that of the counted one",
            lines,
            "steps of gradient descent",
            "nats per character",
            [(f"counted: {counted:.3f}", counted)],
            height=300,
        )
    )


def main() -> None:
    found = numbers()
    (HERE / "bigram_table.svg").write_text(
        table_drawing(found["alphabet"], found["table"]),  # type: ignore[arg-type]
        encoding="utf-8",
        newline="\n",
    )
    (HERE / "bigram_descent.svg").write_text(
        descent_drawing(found["counted"], found["learned"]),  # type: ignore[arg-type]
        encoding="utf-8",
        newline="\n",
    )
    for key, value in found.items():
        if key not in ("table", "alphabet"):
            print(key, value)


if __name__ == "__main__":
    main()
