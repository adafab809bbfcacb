"""Trains an entry's configuration again, and writes down what came out beside what its maker had.

What is taken from an entry are numbers of a known range and words of a known kind: its network, its schedule, its seed,
and its tokenizer. Where its data come from must be a source that everybody can name; a file's name is nobody's data.
The result is `reproduced/HANDLE-NAME.json` beside the folder of entries, "cohort.reproduced/1".
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli import __version__
from cohort_cli.catalog import find_project
from cohort_cli.errors import CohortError, DataTrouble, UsageError
from cohort_cli.prose import clean
from cohort_cli.showcase import entry, places
from cohort_cli.showcase.entry import Entry
from cohort_cli.showcase.strict import Refused
from cohort_cli.training import disk, launch, machines, plan
from cohort_cli.training.config import Config, Hardware, apply_settings, from_dict, to_dict
from cohort_cli.training.data import prepare, sources
from cohort_cli.training.data.shards import prepare_command
from cohort_cli.training.guards import disk_trouble
from cohort_cli.training.live import View, duration
from cohort_cli.training.places import data_home, runs_home
from cohort_cli.training.runs import RunFolder

SCHEMA = "cohort.reproduced/1"
QUICK = 900  # seconds of this CPU, as `cohort plan` estimates them; more only when it is wanted
MACHINE = ("python", "torch", "system", "machine", "cores", "device", "precision", "threads")
MOST = (
    ("model", "n_layers", 1000), ("model", "d_model", 1 << 16),
    ("model", "d_ff", 1 << 18), ("model", "context", 1 << 20),
    ("model", "vocab_size", 1 << 20), ("model", "padded_to", 1 << 20), ("batch", "sequences", 1 << 20),
)  # fmt: skip
CLAIMS = ("validation_loss", "bits_per_byte")


class Stopped(CohortError):
    """Saved on request: the same command goes on."""

    exit_code = 75


class Wanted(NamedTuple):
    """What is to be trained, and for which entry."""

    one: Entry
    config: Config
    sha256: str  # of the entry's config.json


def wanted(folder: Path, steps: int | None = None) -> Wanted:
    """The configuration of an entry, as it can be trained here. Raises UsageError, or DataTrouble."""
    try:
        one = entry.load(folder)
    except Refused as why:
        raise UsageError(
            f"{folder} is no entry: {clean(str(why))}.", "cohort showcase collect SOURCE"
        ) from None
    if one.head["kind"] != "run":
        raise UsageError(f"{one.folder} is a project, which has no run to repeat.", "Name an entry of a run.")
    table = one.parsed["config.json"]["config"]
    config = from_dict(table, folder / "config.json")
    if config.task != "pretrain" or config.model.start_from or config.lora.r:
        start = config.model.start_from or "other weights"
        raise UsageError(
            f"{one.folder} goes on from {clean(start)}, which is not in an entry.",
            "Only what begins with random weights can be repeated.",
        )
    config = config._replace(
        data=_data(one, folder, config),
        hardware=Hardware(precision=config.hardware.precision),  # device and threads are ours
        run=config.run._replace(tensorboard=False),
    )
    if steps is not None:
        warmup = min(config.schedule.warmup_steps, steps)
        config = apply_settings(config, [f"schedule.warmup_steps={warmup}", f"schedule.steps={steps}"])
    sizes = {"model": config.model._asdict(), "batch": config.batch._asdict()}
    for section, key, most in MOST:
        if sizes[section][key] > most:  # nor is anything computed from them
            raise UsageError(
                f"{one.folder}: {section}.{key} is larger than {most:,}, which no machine of ours trains."
            )
    return Wanted(one, config, one.head["files"]["config.json"]["sha256"])


def _data(one: Entry, folder: Path, config: Config) -> Any:
    """With the entry's own tokenizer: "mine" would be ours. Raises DataTrouble, if the text is not on this machine."""
    data = config.data
    if data.tokenizer not in ("characters", "gpt2"):
        if "tokenizer.json" not in one.files:
            raise DataTrouble(
                f"{one.folder} has no tokenizer.json, and was trained with one of its own.", "Ask its maker."
            )
        data = data._replace(tokenizer=str((folder / "tokenizer.json").resolve()))
    if data.source == sources.EMBEDDED:
        return data
    if data.source not in sources.CORPORA and not data.source.startswith(sources.HUB):
        raise DataTrouble(
            f"{one.folder} learned from a file of its maker's own, {clean(data.source)}, which is not in an entry.",
            "Ask its maker for the text, then: cohort data prepare FILE",
        )
    if prepare.prepared(data, data_home()) is None:
        raise DataTrouble(
            f"The data of {one.folder} are not on this machine.", prepare_command(data._asdict())
        )
    return data


def require_quick(job: Wanted) -> None:
    """Raises UsageError with what it would cost, if that is much."""
    made = plan.make(job.config, machines.machine_for(job.config, machines.CPU))
    if made.seconds <= QUICK and made.fits:
        return
    raise UsageError(
        f"Training {job.one.folder} again takes about {duration(made.seconds)} on this computer "
        f"({made.parameters.total:,} parameters, {job.config.schedule.steps:,} steps) and "
        f"{made.memory_bytes / 1e9:.1f} GB of memory.",
        "Shorter, to see that it learns: --steps N    All of it: --anyway",
    )


def run_folder(job: Wanted, parts: dict[str, str]) -> RunFolder:
    """The folder of this very job: the one that is there, so that it goes on, or a new one."""
    words = json.dumps([job.sha256, to_dict(job.config)["schedule"], sorted(parts)])
    name = f"again-{job.one.folder}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
    root = runs_home() / name
    if (root / "config.json").is_file():
        found = RunFolder.open(root)
        if not found.changed_parts():
            return found
        raise UsageError(
            f"{root} was trained with other code of yours.", "Delete that folder, then try again."
        )
    return RunFolder.create(root, job.config, project=find_project(job.one.head["project"]).id, parts=parts)


def train(folder: RunFolder) -> None:
    """As `cohort train` does, until the run is done. Raises Stopped after Ctrl-C, else what went wrong."""
    if folder.read_status().state == "done":
        return
    end: dict[str, Any] = {}
    try:
        with launch.started(folder, 1) as (process, events), View() as view:
            for event in events:
                view.show(event)
                end = event if event["event"] == "end" else end
            process.wait()
    except KeyboardInterrupt:
        end = {"state": "stopped"}  # `started` has waited until it was saved
    if end.get("state") == "stopped":
        raise Stopped(f"{folder.root.name} is saved.", "The same command goes on from there.")
    if end.get("state") != "done":
        trouble = CohortError(
            str(end.get("message") or "The training process ended without a word."),
            str(end.get("repair") or f"Read {folder.log_path}"),
        )
        trouble.exit_code = int(end.get("exit") or 7)
        raise trouble


def _is_whole(path: Path, config_sha256: str) -> bool:
    """Whether all steps of this very configuration are on record already."""
    try:
        before = json.loads(path.read_bytes())
        return (
            before["config_sha256"] == config_sha256 and before["steps"]["got"] >= before["steps"]["claimed"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def record(job: Wanted, folder: RunFolder, home: Path) -> dict[str, Any]:
    """Write down what came out. The best evaluation counts, as in an entry. A run that was shorter than its maker's does
    not take the place of a whole one on record."""
    best, facts = folder.best() or {}, folder.read_environment()
    steps = job.one.parsed["config.json"]["config"]["schedule"]["steps"]
    table = {
        "schema": SCHEMA,
        "entry": job.one.folder,
        "config_sha256": job.sha256,
        "code": "mine" if folder.parts() else "reference",
        "their_code": job.one.parsed["config.json"]["source"],
        "seed": job.config.run.seed,
        "steps": {"claimed": steps, "got": job.config.schedule.steps},
        **{key: _compared(job.one.head["claims"][key], best.get(key)) for key in CLAIMS},
        "machine": {key: facts[key] for key in MACHINE if isinstance(facts.get(key), str | int)},
        "kit": __version__,
        "reproduced_on": date.today().isoformat(),
    }
    path = places.beside(home, places.REPRODUCED, job.one.folder)
    if job.config.schedule.steps < steps and _is_whole(path, job.sha256):
        return table
    try:
        disk.make_folders(path.parent)
        disk.replace_bytes(path, (json.dumps(table, indent=1, allow_nan=False) + "\n").encode("ascii"))
    except OSError as error:
        raise disk_trouble(error, str(path)) from None
    return table


def _compared(claimed: float | None, got: float | None) -> dict[str, float | None]:
    return {
        "claimed": claimed,
        "got": got,
        "difference": None if claimed is None or got is None else got - claimed,
    }


def lines(table: dict[str, Any]) -> list[str]:
    """What came out, for a terminal."""
    found = [f"{'':<18}{'claimed':>9} {'got':>9} {'difference':>11}"]
    for key in CLAIMS:
        numbers = [table[key][word] for word in ("claimed", "got", "difference")]
        shown = [
            "-" if number is None else format(number, pattern)
            for number, pattern in zip(numbers, (".4f", ".4f", "+.4f"), strict=True)
        ]
        found.append(f"{key.replace('_', ' '):<18}{shown[0]:>9} {shown[1]:>9} {shown[2]:>11}")
    steps = table["steps"]
    if steps["got"] != steps["claimed"]:
        found.append(f"{steps['got']:,} steps in place of {steps['claimed']:,}: the difference says little.")
    return found
