"""Small runs for the tests of places."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.catalog import find_project
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

SMALL = (
    "model.n_layers=2", "model.d_model=32", "model.n_heads=2", "model.context=32", "batch.sequences=8",
    "schedule.steps=40", "schedule.warmup_steps=5", "run.log_every=1", "run.eval_every=20", "run.eval_tokens=2000",
    "run.checkpoint_every=5", "run.sample_every=20", "run.sample_tokens=10", "hardware.threads=1",
    "hardware.device=cpu",
)  # fmt: skip
ACTS = Path(__file__).with_name("acts.py")


@pytest.fixture
def runs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs are kept. Prepared data is beside it."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "COHORT_PARENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COHORT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COHORT_DATA", str(tmp_path / "data"))
    return tmp_path / "runs"


@pytest.fixture
def make_run(runs: Path) -> Callable[..., RunFolder]:
    def make(name: str, *settings: str) -> RunFolder:
        config = load_preset(preset_path(find_project("project3"), "smoke"), [*SMALL, *settings])
        return RunFolder.create(runs / name, config, project="project3")

    return make


@pytest.fixture
def make_acts(make_run: Callable[..., RunFolder]) -> Callable[..., tuple[RunFolder, list[str]]]:
    """(a run, the command line that plays these acts in it)."""

    def make(*acts: dict[str, Any]) -> tuple[RunFolder, list[str]]:
        folder = make_run("acted")
        (folder.root / "acts.json").write_text(json.dumps(acts), encoding="utf-8")
        return folder, [sys.executable, str(ACTS), str(folder.root)]

    return make
