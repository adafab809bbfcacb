"""A vocabulary fits the text that it was learned from. What does it cost to use it on another?"""

from __future__ import annotations

from typing import Any

from cohort_cli.errors import UsageError
from cohort_cli.tokens.experiments.lab import Lab, split
from cohort_cli.tokens.experiments.result import Cell, Result, Table

CORPORA = ("english", "code", "german")
SIZE = 512  # small enough that 4,000 characters are enough to learn from


def run(lab: Lab, corpora: dict[str, str]) -> Result:
    if len(corpora) < 2:
        raise UsageError("This experiment compares texts: it needs two.", "Give --corpus NAME=FILE twice.")
    parted = {name: split(name, text) for name, text in corpora.items()}
    rates: list[list[float]] = []
    rows: list[list[Cell]] = []
    for name, (learned, _) in parted.items():
        lab.tell(f"learning from {name}")
        lab.train([learned], SIZE)
        rates.append([lab.bytes_per_token(held_out) for _, held_out in parted.values()])
        rows.append([name, len(learned.encode("utf-8")), *rates[-1]])

    def draw(figure: Any) -> None:
        highest = max(1.01, *map(max, rates))
        axes = figure.add_subplot()
        image = axes.imshow(rates, cmap="cividis", vmin=1, vmax=highest)
        names = list(parted)
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("used on")
        axes.set_ylabel("learned from")
        middle = (1 + highest) / 2
        for y, line in enumerate(rates):
            for x, rate in enumerate(line):
                colour = "black" if rate > middle else "white"
                axes.text(x, y, f"{rate:.2f}", ha="center", va="center", color=colour)
        figure.colorbar(image, label="bytes per token")

    columns = ["learned from", "bytes learned from", *(f"on {name}" for name in parted)]
    notes = [
        f"Bytes per token on the last tenth of each text, which was not learned from. Vocabulary: {SIZE}."
    ]
    return Result(Table("Learned from one text, used on another", columns, rows, notes), draw)
