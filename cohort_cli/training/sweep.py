"""A sweep: the same job with several settings and several seeds, so that a difference can be told from chance.

    schema = "cohort.sweep/1"
    title = "Which learning rate suits the smoke preset?"
    preset = "smoke"                 # of the project, or a TOML file beside this one
    seeds = [1, 2, 3]                # at least three: one run says nothing about the spread

    [fixed]                          # in every job
    schedule.steps = 100

    [grid]                           # every combination of these
    optimizer.learning_rate = [1e-3, 3e-3]
    model.recipe = ["gpt2", "modern"]

    [[settings]]                     # or these, one table for each, in place of [grid]
    model.recipe = "modern"

Each job has a run folder of its own, named after its settings and a hash of its whole configuration. So a sweep that
was stopped goes on where it was, a finished job never runs again, and a job whose numbers changed is another job.
sweep_run.py runs the jobs, sweep_results.py tells what came out.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.catalog import find_project
from cohort_cli.errors import BrokenManifest, CohortError
from cohort_cli.manifest import build, did_you_mean, line_of, load_toml, require_schema
from cohort_cli.training.config import SECTIONS, Config, load_preset, to_dict
from cohort_cli.training.presets import preset_path

SCHEMA = "cohort.sweep/1"
FEWEST_SEEDS = 3
Settings = dict[str, Any]  # "schedule.steps" -> value


class Head(NamedTuple):
    """The keys of the file that stand outside every table."""

    preset: str
    seeds: tuple[int, ...]
    title: str = ""
    project: str = "project3"
    metric: str = "validation_loss"
    workers: int = 1  # jobs at one time; they share the cores


class Job(NamedTuple):
    id: str  # also the name of its folder
    settings: Settings  # what tells it from the others
    seed: int
    config: Config


class Sweep(NamedTuple):
    path: Path
    head: Head
    jobs: tuple[Job, ...]

    @property
    def title(self) -> str:
        return self.head.title or self.path.stem

    @property
    def varied(self) -> list[str]:
        """The keys in which the jobs differ, in the order of the file."""
        return list(dict.fromkeys(key for job in self.jobs for key in job.settings))


def load(path: Path, few_seeds: bool = False) -> Sweep:
    """Read a sweep and check every job of it. Raises BrokenManifest that names the file, and the line where it can."""
    table = load_toml(path)
    require_schema(table, SCHEMA, path)
    tables = ("fixed", "grid", "settings")
    known = ["schema", *Head._fields, *tables]
    for key in table:
        if key not in known:
            raise BrokenManifest(
                f"{path}{line_of(path, key)}: unknown key {key!r}.", did_you_mean(key, known)
            )
    head = build(Head, {key: value for key, value in table.items() if key in Head._fields}, path)
    _check_head(head, path, few_seeds)
    if "grid" in table and "settings" in table:
        raise BrokenManifest(f"{path} has both [grid] and [[settings]].", "Keep one of them.")
    fixed = _flat(table.get("fixed", {}), path, "[fixed]")
    choices = _choices(table, path)
    project = find_project(head.project)
    beside = path.parent / head.preset
    preset = beside if head.preset.endswith(".toml") else preset_path(project, head.preset)
    jobs = []
    for settings, seed in itertools.product(choices, head.seeds):
        words = [f"{key}={json.dumps(value)}" for key, value in {**fixed, **settings}.items()]
        try:
            config = load_preset(preset, [*words, f"run.seed={seed}"])
        except CohortError as trouble:
            raise BrokenManifest(f"{path}: {trouble.message}", trouble.repair) from None
        jobs.append(Job(_id_of(settings, seed, config), settings, seed, config))
    return Sweep(path, head, tuple(jobs))


def _check_head(head: Head, path: Path, few_seeds: bool) -> None:
    line = line_of(path, "seeds")
    if len(set(head.seeds)) < len(head.seeds) or any(seed < 0 for seed in head.seeds):
        raise BrokenManifest(f"{path}{line}: seeds must be different numbers, 0 or more.")
    if not head.seeds or (len(head.seeds) < FEWEST_SEEDS and not few_seeds):
        raise BrokenManifest(
            f"{path}{line}: {len(head.seeds)} seeds are too few to tell a difference from chance.",
            f"Give at least {FEWEST_SEEDS}, or, for a first look only: --allow-few-seeds",
        )
    if head.workers < 1:
        raise BrokenManifest(f"{path}{line_of(path, 'workers')}: workers must be at least 1.")


def _choices(table: dict[str, Any], path: Path) -> list[Settings]:
    """The combinations to try."""
    if "settings" in table:
        if not isinstance(table["settings"], list) or not table["settings"]:
            raise BrokenManifest(f"{path}: write [[settings]], with two brackets, once for each combination.")
        found = [_flat(one, path, "[[settings]]") for one in table["settings"]]
    else:
        axes = _flat(table.get("grid", {}), path, "[grid]")
        for key, values in axes.items():
            if not isinstance(values, list) or not values:
                raise BrokenManifest(
                    f"{path}{_line(path, key, '[grid]')}: {key} in [grid] must be a list.",
                    f"For example: {key} = [{values!r}]",
                )
        found = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    for number, one in enumerate(found):
        if one in found[:number]:
            raise BrokenManifest(f"{path}: two combinations are the same: {label(one)}.", "Keep one of them.")
    return found


def _flat(table: Any, path: Path, section: str) -> Settings:
    """{"schedule": {"steps": 3}} becomes {"schedule.steps": 3}, and so does {"schedule.steps": 3}."""
    if not isinstance(table, dict):
        raise BrokenManifest(f"{path}: {section} must be a table.")
    flat: Settings = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    for key in flat:
        group, _, name = key.partition(".")
        if key == "run.seed":
            raise BrokenManifest(f"{path}: run.seed in {section} is given by seeds.", "Take it out.")
        if group not in SECTIONS or name not in SECTIONS[group]._fields:
            places = [f"{place}.{field}" for place, record in SECTIONS.items() for field in record._fields]
            raise BrokenManifest(
                f"{path}{_line(path, key, section)}: unknown key {key!r} in {section}.",
                did_you_mean(key, places),
            )
    return flat


def _line(path: Path, key: str, section: str) -> str:
    """Of a dotted key, with quotes or without, or of its last part in a table such as [grid.model]."""
    ways = (key, f'"{key}"', key.rpartition(".")[2])
    return next((line for way in ways if (line := line_of(path, way, section))), "")


def label(settings: Settings) -> str:
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in settings.items()) or "as the preset"


def _id_of(settings: Settings, seed: int, config: Config) -> str:
    """A name that a person can read and every file system takes, and that changes with any number of the job."""
    digest = hashlib.sha256(json.dumps(to_dict(config), sort_keys=True).encode()).hexdigest()[:8]
    words = re.sub(r"[^A-Za-z0-9.=-]+", "-", label(settings)).strip("-.")[:60]
    return f"{words}-seed{seed}-{digest}"
