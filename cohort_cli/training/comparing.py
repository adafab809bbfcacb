"""Several runs side by side: what they reached, in what their configurations differ, and their curves. No torch."""

from __future__ import annotations

from typing import Any, NamedTuple

from cohort_cli.prose import clean, width
from cohort_cli.training import curves_text, svg
from cohort_cli.training.config import SECTIONS
from cohort_cli.training.live import UNITS, number
from cohort_cli.training.report import points
from cohort_cli.training.runs import RunFolder

NOT_COMPARED = ("hardware.threads", "run.keep")  # they change nothing that is measured


class Compared(NamedTuple):
    """The runs by name, and by which number they can be compared."""

    rows: dict[str, list[dict[str, Any]]]
    configs: dict[str, dict[str, Any]]  # flat: "model.d_model" -> value
    key: str  # of the metrics
    unit: str


def compare(runs: list[RunFolder]) -> Compared:
    """Losses per token say nothing about different tokens; then it is bits per byte."""
    configs = {clean(run.root.name): run.config() for run in runs}
    tokens = {(config.data.source, config.data.tokenizer) for config in configs.values()}
    tasks = {config.task for config in configs.values()}
    key, unit = "validation_loss", UNITS[next(iter(tasks))]
    if tasks == {"pretrain"} and len(tokens) > 1:
        key, unit = "bits_per_byte", "bits per byte"
    rows = {clean(run.root.name): run.read_metrics() for run in runs}
    flat = {
        name: {
            "task": config.task,
            **{
                f"{section}.{key}": value
                for section in SECTIONS
                for key, value in getattr(config, section)._asdict().items()
            },
        }
        for name, config in configs.items()
    }
    return Compared(rows, flat, key, unit)


def differences(compared: Compared) -> dict[str, list[Any]]:
    """Key -> its value in each run, for the keys in which they differ."""
    first = next(iter(compared.configs.values()))
    found = {key: [config[key] for config in compared.configs.values()] for key in first}
    return {
        key: values
        for key, values in found.items()
        if key not in NOT_COMPARED and any(value != values[0] for value in values)
    }


def results(compared: Compared) -> dict[str, dict[str, float | int | None]]:
    """Name -> last and lowest value, the step of the lowest, and seconds in training."""
    table: dict[str, dict[str, float | int | None]] = {}
    for name, rows in compared.rows.items():
        found = points(rows, compared.key)
        lowest = min(found, key=lambda point: point[1], default=None)
        seconds = [value for row in rows if (value := number(row, "seconds")) is not None]
        table[name] = {
            "last": found[-1][1] if found else None,
            "lowest": lowest[1] if lowest else None,
            "at_step": int(lowest[0]) if lowest else None,
            "seconds": seconds[-1] if seconds else None,
        }
    return table


def text(compared: Compared) -> list[str]:
    """For a terminal: curves, results, differences."""
    curves = {name: points(rows, compared.key) for name, rows in compared.rows.items()}
    lines = curves_text.plot(curves, width(), 12, "step", f"{compared.key} ({compared.unit})")
    lines.append("")
    for name, result in results(compared).items():
        if result["last"] is None:
            lines.append(f"{name}: nothing was measured yet")
            continue
        took = "" if result["seconds"] is None else f", {result['seconds']:,.0f} s"
        lines.append(f"{name}")
        lines.append(
            f"  lowest {result['lowest']:.4f} at step {result['at_step']:,}, last {result['last']:.4f}{took}"
        )
    lines.append("")
    different = differences(compared)
    if not different:
        lines.append("They were asked for the same.")
    for key, values in different.items():
        lines.append(f"{key}: {clean(' | '.join(str(value) or 'none' for value in values))}")
    if {"task"} & different.keys():
        lines.append("Different tasks: their losses do not compare.")
    return lines


def figure(compared: Compared) -> str:
    """An SVG file: a line for each run."""
    series = [svg.Series(name, points(rows, compared.key)) for name, rows in compared.rows.items()]
    says = "; ".join(
        f"{name} ends at {result['last']:.4f}"
        for name, result in results(compared).items()
        if result["last"] is not None
    )
    return svg.alone(svg.chart(compared.key.replace("_", " "), series, "step", compared.unit, (), says + "."))
