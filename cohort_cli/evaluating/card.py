"""The card of a model that is handed to others: what its run knows, and what only its maker can say. No torch.

Source: Mitchell et al. 2019, Model Cards for Model Reporting, https://arxiv.org/abs/1810.03993
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from cohort_cli import __version__
from cohort_cli.evaluating.record import FOLDER
from cohort_cli.prose import clean
from cohort_cli.training.baselines import baselines
from cohort_cli.training.kept import Kept
from cohort_cli.training.live import UNITS, number, said
from cohort_cli.training.parts import needed
from cohort_cli.training.runs import RunFolder

SAMPLES = 5  # the newest, and not picked
TO_WRITE = "_To be written by you: {}_"
YOURS = {
    "Intended use": "who is it for, and what should nobody use it for?",
    "Limits": "what does it get wrong, with an example? What is in its data that you would not say?",
    "What went wrong": "what did you try that did not work?",
    "AI use": "which assistants helped, and with what?",
    "Who reproduced it": "who ran your preset again, and what did they get?",
}


def card(run: RunFolder, chosen: Kept, parameters: int) -> str:
    """Markdown that begins with the block that the Hugging Face hub reads."""
    config, shape = run.config(), run.config().model
    mine = [part for part in needed(config, run.project()) if part in run.parts()]
    facts = {
        "Architecture": f"GPT-2, {parameters:,} parameters: {shape.n_layers} layers, {shape.n_heads} heads, "
        f"{shape.d_model} wide, context {shape.context:,}",
        "Trained for": f"{chosen.step:,} steps, {config.batch.sequences:,} times {config.batch.length:,} tokens each",
        "Data": f"{config.data.source}, tokenizer {config.data.tokenizer}",
        "Started from": shape.start_from or "random weights",
        "Own code": ", ".join(mine) if mine else "none: the kit's",
        "Seed": f"{config.run.seed}",
        "Made with": f"cohort {__version__}, run {run.root.name}",
    }
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "---",
        "",
        f"# {_line(run.root.name)}",
    ]
    lines += ["", f"{_line(config.title)}.", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    lines += [
        "",
        "## Data and licence",
        "",
        TO_WRITE.format("where is the data from, and what does its licence allow?"),
    ]
    lines += ["", "## Evaluation", "", *_evaluation(run, chosen)]
    lines += ["", f"## Samples, the newest {SAMPLES}, not picked", ""]
    for sample in run.read_samples()[-SAMPLES:]:
        prompt, text = said(sample)
        lines += [*_fenced(prompt + text), ""]
    for title, question in YOURS.items():
        lines += [f"## {title}", "", TO_WRITE.format(question), ""]
    return "\n".join(lines)


def _evaluation(run: RunFolder, chosen: Kept) -> list[str]:
    """Each measure with what it is to be compared with; only those of this very checkpoint."""
    unit = UNITS[run.config().task]
    rows: list[tuple[str, str, str]] = []
    scored = [row for row in run.read_metrics() if row.get("step") == chosen.step]
    measured = next((row for row in scored if "validation_loss" in row), {})
    if (loss := number(measured, "validation_loss")) is not None:
        beside = ", ".join(f"{one.name} {one.nats:.4f}" for one in baselines(run))
        rows.append(("validation loss", f"{loss:.4f} {unit}", beside))
    if (bits := number(measured, "bits_per_byte")) is not None:
        rows.append(("bits per byte", f"{bits:.4f}", ""))
    for path in sorted((run.root / FOLDER).glob(f"{chosen.path.name}-*.json")):
        rows += _scored(path)
    table = [f"| {_cell(name)} | {_cell(value)} | {_cell(beside)} |" for name, value, beside in rows]
    return ["| measure | value | beside |", "|---|---|---|", *table]


def _scored(path: Path) -> list[tuple[str, str, str]]:
    """The accuracy of a benchmark that was scored to its end, with what it is worth."""
    try:
        found = []
        for name, result in json.loads(path.read_bytes())["results"].items():
            share = result["accuracy"]
            error = "unknown" if share["error"] is None else f"{share['error']:.3f}"
            what = f"{name}, {share['n']:,} of {result['of']:,} items of {Path(result['place']).name}"
            beside = f"chance {share['chance']:.3f}: {share['verdict']}"
            if result["cut"]:
                beside += f"; {result['cut']:,} items lost their beginning"
            found.append((what, f"{share['value']:.3f} (standard error {error})", beside))
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _line(text: str) -> str:
    return clean(" ".join(text.split()))


def _cell(text: str) -> str:
    """Text in a cell of a table, where nothing in it is markup."""
    return re.sub(r"([\\|<>`*_\[\]])", r"\\\1", _line(text))


def _fenced(text: str) -> list[str]:
    """Text that a model wrote, so that nothing in it is markup: the fence is longer than any in it."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", clean(text), fence]
