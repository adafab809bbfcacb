"""`cohort sweep`: the table, the files, the exit codes; and, slowly, real training that is interrupted and goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import REPO, Cohort

SWEEP = """schema = "cohort.sweep/1"
title = "One block or two"
preset = "smoke"
seeds = [1, 2, 3]
[fixed]
model.d_model = 32
batch.micro_sequences = 4
schedule.steps = 6
schedule.warmup_steps = 1
run.eval_tokens = 2000
run.sample_tokens = 0
run.checkpoint_every = 2
hardware.threads = 1
[grid]
model.n_layers = [1, 2]
"""
# In place of training: a loss that follows from the configuration, a failure for seed 3, a request to stop for seed 2.
WORKER = """
import json, os, pathlib, sys
from cohort_cli.training.runs import RunFolder
folder = RunFolder.open(pathlib.Path(sys.argv[1]))
config = folder.config()
state, exit = {os.environ.get("FAIL"): ("failed", 7), os.environ.get("STOP"): ("stopped", 75)}.get(
    str(config.run.seed), ("done", 0))
if state == "done":
    folder.append_metrics({"step": 6, "validation_loss": 3.0 - config.model.n_layers + config.run.seed / 10})
folder.write_status(state, 6, 6, exit=exit)
print(json.dumps({"event": "end", "state": state, "message": "It broke.", "repair": "", "exit": exit}))
sys.exit(exit)
"""


@pytest.fixture
def sweep_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep in the current folder, whose jobs are quick stand-ins."""
    for name in ("FAIL", "STOP", "COHORT_RUNS", "COHORT_DATA"):
        monkeypatch.delenv(name, raising=False)
    worker = home / "worker.py"
    worker.write_text(WORKER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    monkeypatch.setattr(
        "cohort_cli.training.launch.command",
        lambda folder, processes: [sys.executable, str(worker), str(folder.root)],
    )
    path = home / "blocks.toml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def test_a_sweep_ends_with_a_table_and_its_files(sweep_file: Path, cohort: Cohort) -> None:
    ended = cohort("sweep", "blocks.toml")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[:5] == [
        "One block or two",
        "",
        "n_layers  n    mean      sd",
        "1         3  2.2000  0.1000",
        "2         3  1.2000  0.1000",
    ]
    assert all(len(line) <= 80 or line.startswith(("written", "next")) for line in lines)
    folder = Path("runs") / "sweep-blocks"
    assert (folder / "sweep.json").is_file()
    assert (folder / "table.md").is_file()
    assert re.fullmatch(r"next: open .*(figure\.svg|table\.md)", lines[-1])
    assert "6 jobs, 0 of them done before" in ended.err
    assert "6/6" in ended.err
    assert "6 jobs, 6 of them done before" in cohort("sweep", "blocks.toml").err


def test_json_is_one_object(sweep_file: Path, cohort: Cohort) -> None:
    table = json.loads(cohort("sweep", "blocks.toml", "--json", "--out", "here").out)
    assert table["schema"] == "cohort.sweep-result/1"
    assert [round(row["mean"], 3) for row in table["summary"]] == [2.2, 1.2]
    assert Path("here/figure.svg").is_file()


def test_a_failed_job_is_exit_code_7_and_the_rest_is_kept(
    sweep_file: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "3")
    ended = cohort("sweep", "blocks.toml")
    assert ended.code == 7
    assert "2 jobs failed. The first: It broke." in ended.err
    assert "2 of 6 jobs are not done, 2 failed." in ended.out
    assert "next: cohort sweep blocks.toml" in ended.out
    monkeypatch.delenv("FAIL")
    assert cohort("sweep", "blocks.toml").code == 0


def test_what_was_stopped_is_exit_code_75(
    sweep_file: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOP", "2")
    ended = cohort("sweep", "blocks.toml")
    assert ended.code == 75
    assert "4 of 6 jobs are done. Saved on request." in ended.err


def test_few_seeds_and_a_missing_file(sweep_file: Path, cohort: Cohort) -> None:
    sweep_file.write_text(SWEEP.replace("[1, 2, 3]", "[1]"), encoding="utf-8")
    assert cohort("sweep", "blocks.toml").code == 3
    ended = cohort("sweep", "blocks.toml", "--allow-few-seeds")
    assert ended.code == 0
    assert "these differences may be chance" in ended.out
    assert cohort("sweep", "nowhere.toml").code == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process of its own")
def test_ctrl_c_during_real_training_keeps_what_is_done_and_goes_on(home: Path) -> None:
    (home / "blocks.toml").write_text(
        SWEEP.replace("schedule.steps = 6", "schedule.steps = 40"), encoding="utf-8"
    )
    command = [sys.executable, "-m", "cohort_cli", "sweep", "blocks.toml", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "COHORT_DATA": str(home / "data")}
    first = subprocess.Popen(command, cwd=home, env=environment, stderr=subprocess.PIPE, text=True,
                             start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 240
    while not (done := _done(home / "out")) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does: everybody hears it
    _, told = first.communicate(timeout=120)
    assert first.returncode == 75, told
    assert 1 <= len(done) < 6
    times = {path: path.stat().st_mtime_ns for path in done}
    subprocess.run(command, cwd=home, env=environment, check=True, timeout=480)
    assert len(_done(home / "out")) == 6
    assert {path: path.stat().st_mtime_ns for path in times} == times, "finished jobs were not touched"


def _done(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*/status.json") if json.loads(path.read_bytes())["state"] == "done"]
