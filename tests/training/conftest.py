"""Small jobs that run in this process, and the same in processes of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cohort_cli import planting
from cohort_cli.catalog import find_project
from cohort_cli.training import start
from cohort_cli.training.config import Config, load_preset
from cohort_cli.training.runs import RunFolder

PRESET = """
schema = "cohort.preset/1"
title = "a very small job"
task = "pretrain"

[model]
recipe = "gpt2"
n_layers = 2
d_model = 16
n_heads = 2
context = 16

[batch]
sequences = 8
micro_sequences = 2

[optimizer]
learning_rate = 3e-3

[schedule]
steps = 12
warmup_steps = 3

[hardware]
device = "cpu"
precision = "float32"
threads = 1

[run]
eval_every = 6
eval_tokens = 1000
checkpoint_every = 4
sample_tokens = 20
"""


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Where token folders are prepared, once for all tests of a worker."""
    return tmp_path_factory.getbasetemp().parent / f"data-{worker_id}"


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data_folder: Path) -> None:
    """Runs and data of a test lie in folders of its own."""
    monkeypatch.setenv("COHORT_DATA", str(data_folder))
    monkeypatch.setenv("COHORT_RUNS", str(tmp_path / "runs"))
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Config]:
    """small("schedule.steps=5") gives the configuration of the small job, with these settings."""
    path = tmp_path / "small.toml"
    path.write_text(PRESET, encoding="utf-8")
    return lambda *settings: load_preset(path, settings)


@pytest.fixture
def make_run(tmp_path: Path, small: Callable[..., Config]) -> Callable[..., RunFolder]:
    """make_run("name", "schedule.steps=5", parts={}) makes a run folder."""

    def make(name: str, *settings: str, parts: dict[str, str] | None = None) -> RunFolder:
        config = small(*settings)
        start_at = start.chosen(config.model.start_from)
        root = tmp_path / "runs" / name
        return RunFolder.create(root, config, project="project3", parts=parts, start_at=start_at)

    return make


@pytest.fixture
def train(request: pytest.FixtureRequest) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """train(folder, hear=…) runs the job of a folder in this process, and gives its events.

    hear(event, stop) is called at each event, and may ask to stop.
    """
    import torch

    from cohort_cli.training import job
    from cohort_cli.training.stop import StopFlag

    threads = torch.get_num_threads()

    def run(folder: RunFolder, hear: Callable[..., None] = lambda event, stop: None) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        stop = StopFlag(folder.stop_path)

        def tell(event: dict[str, Any]) -> None:
            events.append(json.loads(json.dumps(event)))
            hear(event, stop)

        with folder.lock():
            state = job.prepare(folder, stop, tell).run()
        return [*events, {"event": "end", "state": state}]

    yield run
    torch.set_num_threads(threads)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """The folder of a project in a workspace, which is the current one."""
    space = planting.create(tmp_path / "space").workspace
    monkeypatch.setenv("COHORT_WORKSPACE", str(space.root))

    def folder(project: str) -> Path:
        place = space.project_folder(find_project(project))
        place.mkdir(exist_ok=True)
        return place

    return folder
