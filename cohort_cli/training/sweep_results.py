"""What a sweep leaves: sweep.json, table.md and figure.svg, and the same table for a terminal."""

from __future__ import annotations

import importlib.util
import io
import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import cohort_cli
from cohort_cli.training import disk, guards
from cohort_cli.training.sweep import FEWEST_SEEDS, Settings, Sweep
from cohort_cli.training.sweep_run import Result

SCHEMA = "cohort.sweep-result/1"
EXTRA = 'pip install "cohort-kit[experiments]"'
UNITS = {"validation_loss": "nats per token", "best_validation_loss": "nats per token", "loss": "nats per token",
         "bits_per_byte": "bits per byte", "tokens_per_second": "tokens per second", "seconds": "s"}  # fmt: skip
# Okabe and Ito's colours, which stay apart for every kind of colour blindness; the markers repeat them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")


class Row(NamedTuple):
    """One combination of settings over its seeds that are done."""

    settings: Settings
    values: list[float]

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The sample's standard deviation, which needs two values."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def rows(sweep: Sweep, results: dict[str, Result]) -> list[Row]:
    """A row per combination, in the order of the file."""
    found: list[Row] = []
    for job in sweep.jobs:
        row = next((row for row in found if row.settings == job.settings), None)
        if row is None:
            found.append(row := Row(job.settings, []))
        value = results[job.id].metrics.get(sweep.head.metric)
        if results[job.id].state == "done" and isinstance(value, int | float):
            row.values.append(float(value))
    return found


def write(sweep: Sweep, results: dict[str, Result], folder: Path, command: str, *, draw: bool) -> list[Path]:
    """Write sweep.json, table.md and, if it can be drawn, figure.svg; each whole or not at all. Returns the paths."""
    contents = {
        "sweep.json": json.dumps(as_json(sweep, results), indent=1).encode(),
        "table.md": markdown(sweep, results, command).encode(),
    }
    if draw and has_matplotlib() and any(row.values for row in rows(sweep, results)):
        contents["figure.svg"] = figure(sweep, results)
    try:
        disk.make_folders(folder)
        for name, content in contents.items():
            disk.replace_bytes(folder / name, content)
    except OSError as error:
        raise guards.disk_trouble(error, str(folder)) from None
    return [folder / name for name in contents]


def as_json(sweep: Sweep, results: dict[str, Result]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kit": cohort_cli.__version__,
        "title": sweep.title,
        "project": sweep.head.project,
        "preset": sweep.head.preset,
        "metric": sweep.head.metric,
        "jobs": [
            {"id": job.id, "settings": job.settings, "seed": job.seed, **results[job.id]._asdict()}
            for job in sweep.jobs
        ],
        "summary": [
            {
                "settings": row.settings,
                "n": len(row.values),
                "mean": row.mean,
                "standard_deviation": row.deviation,
                "values": row.values,
            }
            for row in rows(sweep, results)
        ],
    }


# --- tables ----------------------------------------------------------------------------------------------------


def columns(sweep: Sweep) -> list[str]:
    """Short names of the varied keys, whole ones where the short ones are the same; then the numbers."""
    short = [key.rpartition(".")[2] for key in sweep.varied]
    names = [name if short.count(name) == 1 else key for name, key in zip(short, sweep.varied, strict=True)]
    return [*(names or ["settings"]), "n", "mean", "sd"]


def cells(sweep: Sweep, row: Row) -> list[str]:
    own = [str(row.settings.get(key, "as the preset")) for key in sweep.varied] or ["as the preset"]
    numbers = [f"{number:.4f}" if number is not None else "-" for number in (row.mean, row.deviation)]
    return [*own, str(len(row.values)), *numbers]


def notes(sweep: Sweep, results: dict[str, Result]) -> list[str]:
    """What a reader must know to read the table rightly."""
    metric, unit = sweep.head.metric, UNITS.get(sweep.head.metric, "")
    found = [f"{metric}{f' ({unit})' if unit else ''}: n seeds, their mean and standard deviation."]
    if len(sweep.head.seeds) < FEWEST_SEEDS:
        found.append(f"Fewer than {FEWEST_SEEDS} seeds: these differences may be chance.")
    states = [result.state for result in results.values()]
    if missing := len(states) - states.count("done"):
        failed = states.count("failed")
        found.append(f"{missing} of {len(states)} jobs are not done{f', {failed} failed' if failed else ''}.")
    return found


def text(sweep: Sweep, results: dict[str, Result]) -> list[str]:
    """For a terminal: numbers to the right."""
    lines = [columns(sweep), *(cells(sweep, row) for row in rows(sweep, results))]
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    keys = len(widths) - 3
    drawn = [
        "  ".join(
            f"{cell:<{width}}" if n < keys else f"{cell:>{width}}"
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return [sweep.title, "", *drawn, "", *notes(sweep, results)]


def markdown(sweep: Sweep, results: dict[str, Result], command: str) -> str:
    head = columns(sweep)
    lines = [head, ["---"] * len(head), *(cells(sweep, row) for row in rows(sweep, results))]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    made = f"Made by `{command}` (cohort {cohort_cli.__version__}). Preset `{sweep.head.preset}`."
    return "\n".join(
        [f"# {sweep.title}", "", *table, "", *(f"{note}\n" for note in notes(sweep, results)), made, ""]
    )


# --- the figure ------------------------------------------------------------------------------------------------


def has_matplotlib() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def figure(sweep: Sweep, results: dict[str, Result]) -> bytes:
    """Each seed as a point, the mean with its standard deviation; along a varied number if there is one. SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    measured = [row for row in rows(sweep, results) if row.values]
    # Letters stay letters, and the same numbers give the same file.
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "cohort", "font.family": "sans-serif"}
    ):
        drawing = Figure(figsize=(7, 4), layout="constrained")
        axes = drawing.add_subplot()
        numeric = _numeric_key(sweep, measured)
        if numeric:
            _along(axes, sweep, measured, numeric)
        else:
            _side_by_side(axes, sweep, measured)
        unit = UNITS.get(sweep.head.metric, "")
        axes.set_ylabel(f"{sweep.head.metric}{f' ({unit})' if unit else ''}")
        axes.spines[["top", "right"]].set_visible(False)
        out = io.BytesIO()
        drawing.savefig(out, format="svg", metadata={"Date": None, "Title": sweep.title})
    return out.getvalue()


def _numeric_key(sweep: Sweep, measured: list[Row]) -> str | None:
    """The first varied key that has several numbers as values, in every row."""
    for key in sweep.varied:
        values = [row.settings.get(key) for row in measured]
        if len(set(map(str, values))) > 1 and all(type(value) in (int, float) for value in values):
            return key
    return None


def _along(axes: Any, sweep: Sweep, measured: list[Row], key: str) -> None:
    """A line for each combination of the other keys."""
    others = [other for other in sweep.varied if other != key]
    series: dict[str, list[Row]] = {}
    for row in measured:
        name = ", ".join(f"{other.rpartition('.')[2]}={row.settings.get(other)}" for other in others)
        series.setdefault(name, []).append(row)
    for number, (name, found) in enumerate(series.items()):
        found.sort(key=lambda row: row.settings[key])
        at = [row.settings[key] for row in found]
        colour, marker = COLOURS[number % 6], MARKERS[number % 6]
        axes.errorbar(
            at, [row.mean for row in found], [row.deviation or 0.0 for row in found],
            color=colour, marker=marker, capsize=3, label=name,
        )  # fmt: skip
        for x, row in zip(at, found, strict=True):
            axes.plot([x] * len(row.values), row.values, ".", color=colour, alpha=0.5)
    values = [row.settings[key] for row in measured]
    if min(values) > 0 and max(values) / min(values) >= 8:
        axes.set_xscale("log")
    axes.set_xlabel(key)
    if others:
        axes.legend(frameon=False, fontsize=8)


def _side_by_side(axes: Any, sweep: Sweep, measured: list[Row]) -> None:
    names = ["\n".join(cells(sweep, row)[:-3]) for row in measured]
    for place, row in enumerate(measured):
        axes.errorbar(
            [place], [row.mean], [row.deviation or 0.0], color=COLOURS[0], marker=MARKERS[0], capsize=3
        )
        axes.plot([place] * len(row.values), row.values, ".", color=COLOURS[1], alpha=0.6)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.margins(x=0.2)
