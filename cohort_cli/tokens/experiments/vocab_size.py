"""A larger vocabulary makes shorter sequences. How much shorter, and when does it stop to pay?"""

from __future__ import annotations

from typing import Any

from cohort_cli.tokens.experiments.lab import Lab, split
from cohort_cli.tokens.experiments.result import COLOURS, MARKERS, Cell, Result, Table

CORPORA = ("english",)
SIZES = (256, 512, 1024, 2048, 4096)


def run(lab: Lab, corpora: dict[str, str]) -> Result:
    rows: list[list[Cell]] = []
    lines: dict[str, list[tuple[int, float]]] = {}
    for name, text in corpora.items():
        learned, held_out = split(name, text)
        for size in SIZES:
            lab.tell(f"{name}: vocabulary of {size}")
            parts = lab.train([learned], size)
            tokens = lab.encode(held_out)
            used = len({token.id for token in tokens})
            rate = len(held_out.encode("utf-8")) / len(tokens)
            rows.append([name, size, len(parts.vocab), rate, used])
            lines.setdefault(name, []).append((len(parts.vocab), rate))

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for number, (name, points) in enumerate(lines.items()):
            xs, ys = [x for x, _ in points], [y for _, y in points]
            axes.plot(xs, ys, MARKERS[number % 6] + "-", color=COLOURS[number % 6], label=name)
        axes.set_xscale("log", base=2)
        axes.set_xticks(SIZES, [str(size) for size in SIZES])
        axes.minorticks_off()
        axes.set_xlabel("vocabulary (tokens)")
        axes.set_ylabel("bytes per token, held-out text")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)

    columns = ["corpus", "vocabulary asked", "vocabulary", "bytes per token", "tokens used"]
    notes = [
        "Bytes per token and tokens used are those of the last tenth of the text, which was not learned from."
    ]
    return Result(Table("Vocabulary and bytes per token", columns, rows, notes), draw)
