"""A run that was trained once, for the commands that read runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cohort_cli.catalog import find_project
from cohort_cli.training import launch
from cohort_cli.training.config import Config, load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

SMALL = (
    "model.n_layers=2", "model.d_model=16", "model.n_heads=2", "model.context=16", "batch.sequences=8",
    "schedule.steps=12", "schedule.warmup_steps=3", "run.log_every=1", "run.eval_every=6",
    "run.checkpoint_every=4", "run.sample_tokens=20", "run.keep=3", "hardware.threads=1", "hardware.device=cpu",
)  # fmt: skip


def small_config(preset: str = "smoke", *settings: str) -> Config:
    return load_preset(preset_path(find_project("project3"), preset), [*SMALL, *settings])


def train(root: Path, config: Config, data: Path) -> RunFolder:
    """The job in a process of its own; it must end well."""
    folder = RunFolder.create(root, config, project="project3")
    environment = {**launch.environment(1, 1), "COHORT_DATA": str(data), "COHORT_RUNS": str(root.parent)}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        environment.pop(name, None)
    done = subprocess.run(
        launch.command(folder, 1), env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and runs/small, trained for 12 steps: checkpoints of steps 4, 8 and 12."""
    place = tmp_path_factory.mktemp("trained")
    train(place / "runs" / "small", small_config(), place / "data")
    return place


@pytest.fixture
def gpt2_runs(trained_once: Path, runs: Path) -> Path:
    """The same, with a run "plain" beside "small": GPT-2's own recipe, which other people's tools know."""
    made = trained_once / "plain" / "plain"
    if not made.is_dir():
        train(made, small_config("smoke", "model.recipe=gpt2"), trained_once / "data")
    shutil.copytree(made, runs / "plain")
    return runs


@pytest.fixture
def runs(trained_once: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs of this test: a copy of the trained one, named "small". Its data are shared."""
    folder = home / "runs"
    shutil.copytree(trained_once / "runs", folder)
    monkeypatch.setenv("COHORT_RUNS", str(folder))
    monkeypatch.setenv("COHORT_DATA", str(trained_once / "data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return folder


@pytest.fixture
def evil(runs: Path) -> RunFolder:
    """A run whose texts would steer a terminal, whose rows are torn, and which has no checkpoint."""
    shutil.copytree(runs / "small", runs / "evil")
    shutil.rmtree(runs / "evil" / "checkpoints")
    folder = RunFolder.open(runs / "evil")
    record = json.loads((folder.root / "config.json").read_bytes())
    record["config"]["title"] = "title \x1b[2J\u202e<b>"
    (folder.root / "config.json").write_text(json.dumps(record), encoding="utf-8")
    text = "sample \x1b]0;owned\x07 \x1b[31m\u202e\r\n"
    (folder.root / "samples.jsonl").write_text(
        json.dumps({"step": 12, "prompt": text, "text": text}) + "\n", encoding="utf-8"
    )
    with (folder.root / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 13, "loss": "\x1b[2J", "validation_loss": {}}\n\xff\xfe\n{"step": 14, "lo')
    folder.write_status("failed", 12, 12, message="it broke \x1b[2J", exit=7)
    return folder
