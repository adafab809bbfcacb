"""What a run left behind, taken over key by key into the files of an entry. See pack.py."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Any

from cohort_cli import catalog
from cohort_cli.catalog import Project
from cohort_cli.errors import NoWorkspace
from cohort_cli.evaluating.record import FOLDER as EVALUATIONS
from cohort_cli.prose import clean
from cohort_cli.showcase import contents, entry, pack, strict
from cohort_cli.showcase.entry import MODEL
from cohort_cli.showcase.pack import Parts, to_json
from cohort_cli.showcase.strict import Refused
from cohort_cli.training import kept, launch
from cohort_cli.training.config import SCHEMA as PRESET
from cohort_cli.training.config import SECTIONS, to_dict
from cohort_cli.training.runs import RunFolder
from cohort_cli.workspace import Workspace, find_workspace

BROWSER = "cohort_cli.showcase.browser"  # the process that makes a model small enough for a page
SECONDS = 900  # for that process
SHARES = ("accuracy", "normalised", "per_byte", "perplexity", "mean_of_subjects")  # of a benchmark's summary
NEWEST_SAMPLES = 50
TOKENIZER = "tokenizer.json"


def of_run(run: RunFolder) -> Parts:
    """What a run left behind, with the model of its best checkpoint where a page can show it."""
    config, notes = run.config(), []
    metrics = thinned(run.read_metrics())
    files = {
        "config.json": _config(run),
        "metrics.jsonl": to_lines(metrics),
        "samples.jsonl": to_lines(_sample(row) for row in run.read_samples()[-NEWEST_SAMPLES:]),
        "verdicts.json": pack.verdicts(*_started(run)),
        "evaluation.json": to_json({"schema": contents.EVALUATION, "results": _evaluations(run)}),
    }
    there = kept.checkpoints(run)
    chosen = kept.best(there) or kept.newest(there)
    try:
        tokenizer = run.tokenizer_path.read_bytes()
        contents.tokenizer(tokenizer)
    except (OSError, Refused) as why:
        notes.append(f"no tokenizer: {getattr(why, 'strerror', None) or why}")
    else:
        files[TOKENIZER] = tokenizer
        made, note = _model(run, chosen)
        files |= made
        notes += [note] if note else []
    best = min((row for row in metrics if "validation_loss" in row), key=_loss, default={})
    partly = bool(config.lora.r or config.model.train_blocks)  # then a checkpoint holds a part of the weights
    claims = {
        "validation_loss": best.get("validation_loss"),
        "bits_per_byte": best.get("bits_per_byte"),
        "parameters": None if chosen is None or partly else _parameters(chosen.path / "model.safetensors"),
        "steps": run.read_status().step,
    }
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", run.root.name).strip(".-")[:64].rstrip(".") or "run"
    title = clean(" ".join(config.title.split()))[:120] or name
    return Parts("run", name, title, run.project() or "project3", run.created()[:10], claims, files, notes)


def thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most so many rows as an entry may have, spread evenly, of known numbers; the lowest loss is among them."""
    known = [
        {"step": row["step"], **{key: row[key] for key in contents.METRICS if _is_number(row.get(key))}}
        for row in sorted(rows, key=lambda row: row["step"])
        if type(row["step"]) is int and row["step"] >= 0
    ]
    known = [row for row in known if len(row) > 1]
    measured = [row for row in known if "validation_loss" in row]
    logged = [row for row in known if "validation_loss" not in row]
    half = contents.MOST_ROWS // 2
    chosen = _spread(measured, max(half, contents.MOST_ROWS - len(logged)) - 1)
    if measured and (best := min(measured, key=_loss)) not in chosen:
        chosen.append(best)
    chosen += _spread(logged, contents.MOST_ROWS - len(chosen))
    return sorted(chosen, key=lambda row: row["step"])


def _spread(rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The first, the last, and others between them at equal distances."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(number * (len(rows) - 1) / (most - 1))] for number in range(most)]


def _loss(row: dict[str, Any]) -> float:
    return float(row["validation_loss"])


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= strict.LARGEST


def _config(run: RunFolder) -> bytes:
    """The configuration, with a name in place of each path."""
    given = to_dict(run.config())
    table = {key: given[key] for key in ("preset", "title", "task", *SECTIONS)}
    for section, key in (("data", "source"), ("data", "tokenizer"), ("model", "start_from")):
        table[section][key] = _name_only(table[section][key], bool(key == "start_from"))
    source = "mine" if run.parts() else "reference"
    whole = {"schema": PRESET, **{key: _cleaned(value) for key, value in table.items()}}
    python = str(run.read_environment().get("python", ""))  # the embedded corpus is a part of it
    known = {"python": python} if re.fullmatch(contents.PYTHON, python, re.ASCII) else {}
    return to_json(
        {"schema": contents.CONFIG, "source": source, "code": run.code(), **known, "config": whole}
    )


def _name_only(word: str, is_start: bool) -> str:
    """A name of the hub or of a known source stays; of a path, the last part."""
    if word.startswith("hf:") and re.fullmatch(contents.SOURCE, word, re.ASCII):
        return word
    if is_start and word:
        return word if re.fullmatch(r"run:[\w.-]+", word, re.ASCII) else "run:"
    return re.sub(r"[^A-Za-z0-9_.-]", "_", PureWindowsPath(word).name)


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items()}
    return clean(value)[: contents.LONGEST_PROMPT] if isinstance(value, str) else value


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    prompt, text = (clean(str(row.get(key, ""))) for key in ("prompt", "text"))
    made = {"prompt": prompt[: contents.LONGEST_PROMPT], "text": text[: contents.LONGEST_SAMPLE]}
    seed = {"seed": row["seed"]} if type(row.get("seed")) is int and row["seed"] >= 0 else {}
    return {"step": row["step"], **made, **seed}


def _started(run: RunFolder) -> tuple[Workspace | None, list[Project]]:
    """The workspace and the projects whose code this run trained; none for a run of the kit's own parts."""
    if not run.parts():
        return None, []
    try:
        space = find_workspace()
    except NoWorkspace:
        return None, []
    used = {part for place in run.parts().values() for part in Path(place).parts}
    wanted = [
        project
        for project in catalog.projects()
        if project.id == run.project() or project.folder.name in used
    ]
    return space, [project for project in wanted if space.has(project)]


def _evaluations(run: RunFolder) -> list[dict[str, Any]]:
    """The summaries as plain numbers; where the items lay on this machine is not among them."""
    found = []
    for path in sorted((run.root / EVALUATIONS).glob("step-*.json")):
        step = re.match(r"step-(\d+)-", path.name)
        try:
            for name, result in json.loads(path.read_bytes())["results"].items():
                for measure in (measure for measure in SHARES if isinstance(result.get(measure), dict)):
                    share = result[measure]
                    numbers = {
                        key: share[key] for key in ("value", "error", "chance") if _is_number(share.get(key))
                    }
                    row = {
                        "step": int(step[1]) if step else 0,
                        "benchmark": name,
                        "measure": measure,
                        **numbers,
                    }
                    row |= {"n": share["n"], "of": result["of"]}
                    contents.evaluation(to_json({"schema": contents.EVALUATION, "results": [row]}))
                    found.append(row)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # half of one, or of another kit
    return found[-100:]


def _parameters(path: Path) -> int | None:
    """How many numbers a checkpoint's model has; a matrix with two names is there once."""
    try:
        with path.open("rb") as file:
            head = file.read(8 + strict.MOST_HEADER)
        return sum(tensor.numbers for tensor in strict.tensors(head, path.stat().st_size).values())
    except (OSError, Refused):
        return None


def _model(run: RunFolder, chosen: kept.Kept | None) -> tuple[dict[str, bytes], str]:
    """The files of a model for the page, or why there are none."""
    if chosen is None:
        return {}, "no live demo: the run has no whole checkpoint"
    if importlib.util.find_spec(BROWSER) is None:
        return {}, "no live demo: this kit cannot make a model for the page"
    with tempfile.TemporaryDirectory(prefix="cohort-model-") as folder:
        out = Path(folder) / "model"
        command = [sys.executable, "-m", BROWSER, str(run.root), str(chosen.path), str(out)]
        try:
            ended = subprocess.run(
                command, env=launch.environment(1), capture_output=True, text=True, timeout=SECONDS, check=False,
                encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {}, f"no live demo: it took longer than {SECONDS // 60} minutes to make the model small"
        event = _event(ended.stdout)
        if not event.get("live"):
            said = (
                event.get("reason")
                or event.get("message")
                or ended.stderr.strip()[-300:]
                or "no reason given"
            )
            return {}, f"no live demo: {clean(str(said))}"
        found = {}
        for name in (*MODEL, TOKENIZER):  # the tokenizer with its whole vocabulary, in place of a mere name
            try:
                entry.require_size(name, (out / name).stat().st_size, large=True)
                found[name] = (out / name).read_bytes()
                contents.FILES[name][1](found[name])
            except (OSError, Refused) as why:
                return {}, f"no live demo: {name}: {clean(str(why))}"
        large = len(found[entry.WEIGHTS]) > entry.most_of(entry.WEIGHTS)
        return found, "the model is large: it is only taken by collect --large" if large else ""


def _event(said: str) -> dict[str, Any]:
    """The answer of that process: one JSON object, on its last line."""
    try:
        event = json.loads(said.strip().splitlines()[-1])
        return event if isinstance(event, dict) else {}
    except (ValueError, IndexError):
        return {}


def to_lines(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode("ascii")
