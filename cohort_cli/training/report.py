"""RUN/report.html: what a run was and what it reached, in one file that needs nothing else.

No script, no request leaves the machine, and the browser is told to allow none. The same folder gives the same bytes.
What comes from the run's texts is untrusted, and only ever shown as text. No torch, no matplotlib.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cohort_cli
from cohort_cli.prose import clean
from cohort_cli.training import disk, guards, kept, svg
from cohort_cli.training.baselines import Baseline, baselines
from cohort_cli.training.config import SECTIONS, Config
from cohort_cli.training.live import MEASURES, UNITS, duration, number, said
from cohort_cli.training.parts import PARTS, needed
from cohort_cli.training.runs import RunFolder

SAMPLES = 20  # the newest
ROWS = 200  # of the table of numbers
STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:54rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{line-height:1.2}h2{margin-top:2.5rem}
table{border-collapse:collapse;margin:1rem 0}caption{text-align:left;font-weight:bold;padding:.3rem 0}
th,td{border-bottom:1px solid #8886;padding:.25rem .8rem .25rem 0;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
figure{margin:1rem 0}svg{max-width:100%;height:auto}
pre{white-space:pre-wrap;border-left:4px solid #8886;padding-left:1rem}
.small{display:flex;flex-wrap:wrap;gap:1rem}
"""
Row = dict[str, Any]
Cell = str | float | int | None


def write_report(folder: RunFolder) -> Path:
    """Write the report of a run, whatever it has so far, and return its path. Raises DiskTrouble."""
    try:
        disk.replace_bytes(folder.report_path, page(folder).encode())
    except OSError as error:
        raise guards.disk_trouble(error, str(folder.report_path)) from None
    return folder.report_path


def page(folder: RunFolder) -> str:
    config, rows = folder.config(), folder.read_metrics()
    name = folder.root.name
    body = [
        _summary(folder, config, rows),
        _curves(config, rows, baselines(folder)),
        _numbers(config, rows),
        _samples(folder.read_samples()),
        _checkpoints(folder),
        _sources(folder, config),
        _environment(folder),
        _configuration(config),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(name)}: report of a training run</title><style>{STYLE}{svg.STYLE}</style></head>\n"
        f"<body><main>\n{''.join(body)}</main>\n"
        f"<footer><p>Made by cohort {_text(cohort_cli.__version__)} from the run's folder.</p></footer>"
        "</body></html>\n"
    )


# --- parts of the page -----------------------------------------------------------------------------------------


def _summary(folder: RunFolder, config: Config, rows: list[Row]) -> str:
    status, best = folder.read_status(), _best(rows)
    facts: list[tuple[str, Cell]] = [
        ("Run", folder.root.name),
        ("Preset", config.preset),
        ("Task", config.task),
        ("Started", folder.created()),
        ("State", f"{status.state}, step {status.step:,} of {status.steps:,}"),
    ]
    if status.message:
        facts.append(("Message", status.message))
    if best is not None:
        loss = f"{best['validation_loss']:.4f} {UNITS[config.task]}, at step {best['step']:,}"
        facts.append(("Lowest validation loss", loss))
    timed = [row for row in rows if number(row, "seconds") is not None]
    if timed:
        facts.append(("Time in training", duration(float(timed[-1]["seconds"]))))
        speeds = sorted(speed for row in timed if (speed := number(row, "tokens_per_second")) is not None)
        if speeds:
            facts.append(
                ("Tokens per second", f"{speeds[len(speeds) // 2]:,.0f} (median of the logged steps)")
            )
    return f"<h1>{_text(config.title)}</h1>\n" + _table("The run", facts)


def _curves(config: Config, rows: list[Row], compared: list[Baseline]) -> str:
    if not rows:
        return "<h2>Curves</h2><p>Nothing was measured yet.</p>\n"
    train = points(rows, "loss")
    figures = [_figure(loss_chart(config, rows, compared))]
    small = [("lr", "Learning rate", "per step"), ("grad_norm", "Gradient norm before clipping", "L2 norm")]
    drawn = ""
    for place, (key, title, unit) in enumerate(small):
        found = points(rows, key)
        if found:
            values = [y for _, y in found]
            says = f"{title} by step, from {min(values):.3g} to {max(values):.3g}."
            one = [svg.Series(title, found, thin=True)]
            drawn += _figure(
                svg.chart(title, one, "step", unit, (), says, width=350, height=230, first_colour=2 + place)
            )
    notes = "".join(f"<li>{_text(one.name)}: {one.nats:.4f}. {_text(one.says)}</li>" for one in compared)
    below = f"<p>The dashed lines:</p><ul>{notes}</ul>\n" if compared else ""
    if len(train) > svg.MOST_POINTS:
        below += f"<p>Each point of the thin line is the mean of about {len(train) // svg.MOST_POINTS + 1} rows.</p>\n"
    return f'<h2>Curves</h2>\n{"".join(figures)}{below}<div class="small">{drawn}</div>\n'


def loss_chart(config: Config, rows: list[Row], compared: list[Baseline], title: str = "Loss") -> str:
    """The losses of a run as an <svg> element, with what they are to be compared with as dashed lines."""
    train, validation = points(rows, "loss"), points(rows, "validation_loss")
    lines = [(f"{one.name} {one.nats:.3f}", one.nats) for one in compared]
    says = "Training loss by step, and validation loss at each evaluation"
    if validation:
        says += f"; the last validation loss is {validation[-1][1]:.4f}"
    series = [svg.Series("training", train, thin=True), svg.Series("validation", validation)]
    return svg.chart(title, series, "step", UNITS[config.task], lines, says + ".")


def _numbers(config: Config, rows: list[Row]) -> str:
    """A row per evaluation, with the mean training loss of the logged steps since the one before."""
    keys = [key for key in MEASURES if any(number(row, key) is not None for row in rows)]
    found: list[list[Cell]] = []
    since: list[float] = []
    for row in rows:
        if (loss := number(row, "loss")) is not None:
            since.append(loss)
        if (loss := number(row, "validation_loss")) is not None:
            mean = math.fsum(since) / len(since) if since else None
            found.append([row["step"], mean, loss, *(number(row, key) for key in keys)])
            since = []
    if not found:
        return ""
    every = math.ceil(len(found) / ROWS)
    shown = [row for place, row in enumerate(found) if place % every == 0 or place == len(found) - 1]
    head = ["step", "training loss", "validation loss", *(key.replace("_", " ") for key in keys)]
    title = f"The numbers (losses in {UNITS[config.task]})" + (f", every {every}th" if every > 1 else "")
    return _table(title, shown, head)


def _samples(samples: list[Row]) -> str:
    if not samples:
        return ""
    parts = ["<h2>Samples</h2>\n<p>What the model wrote; the prompt comes first.</p>\n"]
    for sample in reversed(samples[-SAMPLES:]):
        prompt, text = said(sample)
        parts.append(f"<h3>Step {sample['step']:,}</h3>\n<pre><b>{_text(prompt)}</b>{_text(text)}</pre>\n")
    return "".join(parts)


def _checkpoints(folder: RunFolder) -> str:
    there = kept.checkpoints(folder)
    found: list[list[Cell]] = []
    for one in there:
        words = one.problem or ("best" if one is kept.best(there) else "")
        found.append([one.step, f"{one.bytes / 1e6:,.1f} MB", words])
    return _table("Checkpoints", found, ["step", "size", ""]) if found else "<p>No checkpoint is kept.</p>\n"


def _sources(folder: RunFolder, config: Config) -> str:
    mine, code = folder.parts(), folder.code()
    found: list[list[Cell]] = [
        [part, PARTS[part].says, "the member's" if part in mine else "the kit's", code.get(part, "")[:12]]
        for part in needed(config, folder.project())
    ]
    return _table("Whose code", found, ["part", "what", "whose", "hash of the code"])


def _environment(folder: RunFolder) -> str:
    facts = {key: value for key, value in folder.read_environment().items() if key != "schema"}
    return _table("Environment", [(key, str(value)) for key, value in facts.items()]) if facts else ""


def _configuration(config: Config) -> str:
    found: list[list[Cell]] = [
        [f"{section}.{key}", "" if value == "" else str(value)]
        for section in SECTIONS
        for key, value in getattr(config, section)._asdict().items()
    ]
    return "<h2>Configuration</h2>\n" + _table("Every number of the job", found, ["key", "value"])


# --- pieces of HTML --------------------------------------------------------------------------------------------


def _text(text: Any) -> str:
    """Untrusted text: no markup, and nothing that turns the direction of what follows."""
    return html.escape(clean(str(text)))


def _figure(drawing: str) -> str:
    return f"<figure>{drawing}</figure>\n"


def _table(caption: str, rows: Iterable[Sequence[Cell]], head: Sequence[str] = ()) -> str:
    """Without a head, the first cell of each row is its heading."""
    lines = []
    for row in rows:
        first = f'<th scope="row">{_text(row[0])}</th>' if not head else _cell(row[0])
        lines.append(f"<tr>{first}{''.join(map(_cell, row[1:]))}</tr>")
    top = "".join(f'<th scope="col">{_text(name)}</th>' for name in head)
    top = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f"<table><caption>{_text(caption)}</caption>{top}<tbody>{''.join(lines)}</tbody></table>\n"


def _cell(value: Cell) -> str:
    if isinstance(value, int | float):
        return (
            f'<td class="n">{value:,}</td>' if isinstance(value, int) else f'<td class="n">{value:.4f}</td>'
        )
    return f"<td>{_text('' if value is None else value)}</td>"


# --- numbers ---------------------------------------------------------------------------------------------------


def points(rows: list[Row], key: str) -> list[tuple[float, float]]:
    """(step, value) of each row that has a finite number under this key."""
    return [(float(row["step"]), value) for row in rows if (value := number(row, key)) is not None]


def _best(rows: list[Row]) -> Row | None:
    measured = [row for row in rows if number(row, "validation_loss") is not None]
    return min(measured, key=lambda row: float(row["validation_loss"]), default=None)
