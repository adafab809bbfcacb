"""What an experiment leaves: table.csv, table.md and figure.svg."""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cohort_cli
from cohort_cli.tokens.files import write_whole

Cell = str | int | float
# Okabe and Ito's colours, which stay apart for every kind of colour blindness; the dashes and hatches repeat them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo")


class Table(NamedTuple):
    title: str
    columns: list[str]
    rows: list[list[Cell]]
    notes: list[str]

    def text(self) -> str:
        """For a terminal: numbers to the right."""
        lines = [self.columns, *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.columns))]
        right = [all(isinstance(row[n], int | float) for row in self.rows) for n in range(len(self.columns))]
        drawn = [
            "  ".join(
                f"{cell:>{width}}" if number else f"{cell:<{width}}"
                for cell, width, number in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, "", *drawn, "", *self.notes])

    def csv(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(
            [f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row] for row in self.rows
        )
        return out.getvalue()

    def markdown(self, command: str) -> str:
        lines = [f"# {self.title}", ""]
        shown = [
            self.columns,
            ["---"] * len(self.columns),
            *([_shown(cell) for cell in row] for row in self.rows),
        ]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in shown]
        made = f"Made by `{command}` (cohort {cohort_cli.__version__}, Python {platform.python_version()})."
        return "\n".join([*lines, "", *(f"{note}\n" for note in self.notes), made, ""])


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


class Result(NamedTuple):
    table: Table
    draw: Callable[[Any], None]  # onto a matplotlib Figure

    def write(self, folder: Path, command: str) -> list[Path]:
        """Write the three files, each whole or not at all, and return their paths."""
        contents = {
            "table.csv": self.table.csv().encode("utf-8"),
            "table.md": self.table.markdown(command).encode("utf-8"),
            "figure.svg": self._svg(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_whole(folder / name, content)
        return [folder / name for name in contents]

    def _svg(self) -> bytes:
        import matplotlib
        from matplotlib.figure import Figure

        # Letters stay letters, and the same numbers give the same file.
        with matplotlib.rc_context(
            {"svg.fonttype": "none", "svg.hashsalt": "cohort", "font.family": "sans-serif"}
        ):
            figure = Figure(figsize=(7, 4), layout="constrained")
            self.draw(figure)
            out = io.BytesIO()
            figure.savefig(out, format="svg", metadata={"Date": None, "Title": self.table.title})
        return out.getvalue()


def bars(
    figure: Any, groups: list[str], series: dict[str, list[float]], ylabel: str, digits: int = 2
) -> None:
    """A group of bars for each name, one bar for each series, with the number above it."""
    axes = figure.add_subplot()
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        places = [group + (number - (len(series) - 1) / 2) * width for group in range(len(groups))]
        drawn = axes.bar(
            places, values, width * 0.95, label=name, color=COLOURS[number % 6], hatch=HATCHES[number % 6],
            edgecolor="white", linewidth=0,
        )  # fmt: skip
        axes.bar_label(drawn, fmt=f"%.{digits}f", fontsize=8)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(ylabel)
    axes.margins(y=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
