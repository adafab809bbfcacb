"""`cohort train`: whose parts are trained, what stops it before it starts, and how it goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli.catalog import find_project
from cohort_cli.training.runs import RunFolder

PRESET = """\
schema = "cohort.preset/1"
title = "a very small job"

[model]
n_layers = 1
d_model = 16
n_heads = 2
context = 16

[batch]
sequences = 4

[schedule]
steps = 6

[hardware]
device = "cpu"
precision = "float32"
threads = 1

[run]
eval_tokens = 500
eval_every = 6
sample_tokens = 10
"""


@pytest.fixture
def preset(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A small preset in a file of the user's own, in a folder that is no workspace."""
    monkeypatch.setenv("COHORT_DATA", str(tmp_path / "data"))
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "COHORT_RUNS"):
        monkeypatch.delenv(name, raising=False)
    Path("small.toml").write_text(PRESET, encoding="utf-8")
    return "small.toml"


def test_a_run_leaves_its_folder_and_says_what_comes_next(cohort: Cohort, preset: str) -> None:
    ended = cohort("train", "project3", "--preset", preset, "--name", "first")
    assert ended.code == 0, ended.err
    assert "the kit's own" in ended.err
    assert ended.out.splitlines()[-1] == "next: cohort runs show first"
    folder = RunFolder.open(Path("runs/first"))
    assert folder.read_status().state == "done"
    assert folder.report_path.is_file()
    assert folder.read_samples()[-1]["step"] == 6
    assert {row["step"] for row in folder.read_metrics() if "validation_loss" in row} == {0, 6}
    before = (folder.root / "config.json").read_bytes()
    assert cohort("train", "project3", "--resume", "--name", "first").code == 0
    assert (folder.root / "config.json").read_bytes() == before  # nothing was asked to change


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--preset", "smok"], 2, "Did you mean smoke"),
        (["--preset", "none.toml"], 2, "no file none.toml"),
        (["--preset", "small.toml", "--set", "model.d_modle=32"], 2, "d_model"),
        (["--preset", "small.toml", "--set", "model.n_heads=3"], 2, "does not divide"),
        (["--preset", "small.toml", "--model", "yours"], 2, "neither mine nor reference"),
        (["--preset", "small.toml", "--model", "mine"], 3, "no workspace"),
        (["--resume"], 2, "no run of project3"),
        (["--resume", "--name", "nothing"], 2, "nothing"),
    ],
    ids=str,
)
def test_what_cannot_start_says_why(
    cohort: Cohort, preset: str, words: list[str], code: int, says: str
) -> None:
    ended = cohort("train", "project3", *words)
    assert ended.code == code
    assert says in ended.err
    assert not Path("runs").exists()


def test_a_misspelt_key_is_named_with_its_line(cohort: Cohort, preset: str) -> None:
    text = PRESET.replace("sequences = 4", "sequences = 4\nmicro_sequence = 2")
    Path(preset).write_text(text, encoding="utf-8")
    ended = cohort("train", "project3", "--preset", preset)
    assert ended.code == 3
    assert f"small.toml:{text.splitlines().index('micro_sequence = 2') + 1}" in ended.err
    assert "Did you mean micro_sequences" in ended.err


def test_a_batch_that_cannot_be_is_refused_before_weights_are_made(cohort: Cohort, preset: str) -> None:
    ended = cohort("train", "project3", "--preset", preset, "--set", "data.source=nowhere.txt", "--name", "a")
    assert ended.code == 2
    assert "nowhere.txt" in ended.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--resume", "--preset", "smoke"], "--preset cannot change"),
        (["--resume", "--model", "mine"], "--model cannot change"),
        (["--preset", "small.toml", "--name", "../out"], "no name for a folder"),
        (["--preset", "small.toml", "--name", "-x"], "no name for a folder"),
        (["--preset", "small.toml", "--set", "run.seed=99999999999999999999"], "run.seed"),
        (["--preset", "small.toml", "--set", "hardware.threads=100000"], "hardware.threads"),
    ],
    ids=str,
)
def test_what_would_go_wrong_later_is_refused_at_once(
    cohort: Cohort, preset: str, words: list[str], says: str
) -> None:
    ended = cohort("train", "project3", *words)
    assert ended.code == 2
    assert says in ended.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2"])
def test_a_signal_to_the_command_alone_saves_too(preset: str, name: str) -> None:
    """As Slurm, a container or systemd sends it. Whoever started the command reads 75 from its exit code."""
    words = ["train", "project3", "--preset", preset, "--name", "long", "--set", "schedule.steps=100000"]
    with subprocess.Popen([sys.executable, "-m", "cohort_cli", *words], stderr=subprocess.PIPE) as process:
        folder = RunFolder(Path("runs/long"))
        while not any("loss" in row for row in folder.read_metrics()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=120)
    assert process.returncode == 75, err
    assert folder.read_status().state == "stopped"
    assert name.encode() in err


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the streams")
def test_closed_streams_are_no_trouble(preset: str) -> None:
    command = f"{sys.executable} -m cohort_cli train project3 --preset {preset} --name closed >&- 2>&- <&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    assert RunFolder(Path("runs/closed")).read_status().state == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="a process group is asked with SIGINT")
def test_ctrl_c_saves_and_resume_finishes(cohort: Cohort, preset: str) -> None:
    words = ["train", "project3", "--preset", preset, "--name", "long", "--set", "schedule.steps=100000"]
    with subprocess.Popen(
        [sys.executable, "-m", "cohort_cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        folder = RunFolder(Path("runs/long"))
        while not any("loss" in row for row in folder.read_metrics()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        other = cohort(
            "train", "project3", "--resume", "--name", "long", "--set", "optimizer.learning_rate=1"
        )
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=120)
    assert process.returncode == 75, err
    assert "next: cohort train project3 --resume --name long" in out
    assert other.code == 2
    assert "is being trained by process" in other.err
    assert folder.config().optimizer.learning_rate != 1
    assert "Traceback" not in folder.log_path.read_text(encoding="utf-8")
    status = folder.read_status()
    assert status.state == "stopped"
    refused = cohort("train", "project3", "--resume", "--name", "long", "--set", "model.d_model=32")
    assert refused.code == 2
    assert "cannot change" in refused.err
    for setting in ("run.seed=2", "optimizer.name=muon", "schedule.steps=1"):
        assert cohort("train", "project3", "--resume", "--name", "long", "--set", setting).code == 2
    steps = status.step + 2
    ended = cohort("train", "project3", "--resume", "--set", f"schedule.steps={steps}")
    assert ended.code == 0, ended.err
    assert folder.read_status().step == steps
    assert [row["step"] for row in folder.read_metrics() if "loss" in row] == list(range(1, steps + 1))


def test_a_members_parts_are_checked_before_they_are_trained(cohort: Cohort, preset: str) -> None:
    """Right parts are used; unwritten ones are the kit's; a wrong one is named, with its check, before the job."""
    assert cohort("init", "space").code == 0
    shutil.copy(preset, "space")
    os.chdir("space")
    for id in ("project2", "project3"):
        assert cohort("start", id).code == 0
    project2 = find_project("project2")
    for path in project2.reference.glob("*.py"):
        shutil.copy(path, Path(project2.folder.name) / path.name)
    ended = cohort("train", "project3", "--preset", preset, "--name", "mine")
    assert ended.code == 0, ended.err
    assert RunFolder.open(Path("runs/mine")).parts() == {"model": str(Path(project2.folder.name).absolute())}
    assert "model" in next(line for line in ended.err.splitlines() if line.startswith("yours"))

    model = Path(project2.folder.name) / "model.py"
    right = model.read_text(encoding="utf-8")
    model.write_text(right.replace("self.lm_head.weight = self.wte.weight", "pass"), encoding="utf-8")
    ended = cohort("train", "project3", "--preset", preset, "--name", "wrong")
    assert ended.code == 1
    assert "model.py" in ended.err
    assert "is fail" in ended.err
    assert not Path("runs/wrong").exists()
    assert cohort("train", "project3", "--preset", preset, "--name", "kits", "--model", "reference").code == 0
