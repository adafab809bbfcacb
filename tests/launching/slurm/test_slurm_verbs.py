"""The verbs with a real Slurm behind them: sent, listed, followed, stopped; what is refused leaves nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cluster import Cluster
from support import Cohort

from cohort_cli.launching.slurm import Slurm

SEND = ("train", "project3", "--smoke", "--on", "slurm", "--name", "first")


@pytest.fixture
def runs(on_cluster: Cluster, python: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs are kept, for a member whose places.toml names the cluster's partition and the stub's Python."""
    monkeypatch.setenv("COHORT_RUNS", str(home / "runs"))
    monkeypatch.setenv("COHORT_PLACES", str(home / "places.toml"))
    write_places(home, python)
    return home / "runs"


def write_places(home: Path, python: str, partition: str = "main") -> None:
    lines = ['schema = "cohort.places/1"', "[slurm]", f'python = "{python}"', f'partition = "{partition}"']
    (home / "places.toml").write_text("\n".join(lines))


def test_a_job_is_sent_listed_followed_and_stopped(runs: Path, cohort: Cohort, on_cluster: Cluster) -> None:
    asked = cohort("doctor", "--on", "slurm")
    assert asked.code == 0, asked.out
    shown = cohort(*SEND, "--dry-run")
    assert "#SBATCH --partition=main" in shown.out
    assert not runs.exists()
    assert on_cluster.queue() == []

    sent = cohort(*SEND, "--nodes", "2", "--env", "STUB_PAUSE=0.2", "--set", "run.checkpoint_every=5")
    assert sent.code == 0, sent.err
    end = time.monotonic() + 60
    while "checkpoint" not in cohort("runs", "show", "first").out:
        assert time.monotonic() < end, cohort("runs", "logs", "first").out
        time.sleep(0.2)
    listed = cohort("runs", "list").out
    assert "running" in listed
    assert "slurm" in listed
    assert "is running" in cohort("train", "project3", "--resume", "--name", "first", "--on", "slurm").err
    assert cohort("runs", "stop", "first").code == 0
    assert "stopped: A person asked it to stop" in cohort("runs", "logs", "first", "--follow").out
    assert "stopped" in cohort("runs", "list").out
    assert on_cluster.queue() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--nodes", "9"), "9 nodes of main"),
        (("--gpus", "99"), "99 GPUs"),
        (("--secret", "NO_SUCH"), "NO_SUCH"),
    ],
)
def test_what_cannot_be_leaves_nothing(
    words: tuple[str, ...], said: str, runs: Path, cohort: Cohort, on_cluster: Cluster
) -> None:
    ended = cohort(*SEND, *words)
    assert ended.code == 4
    assert said in ended.err
    assert not runs.exists()
    assert on_cluster.queue() == []


def test_what_slurm_refuses_leaves_nothing(
    runs: Path, python: str, cohort: Cohort, on_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_places(runs.parent, python, "nope")
    assert cohort(*SEND).code == 4
    monkeypatch.setattr(Slurm, "check", lambda *_: [])  # it was there a moment ago
    ended = cohort(*SEND)
    assert ended.code == 7
    assert "nvalid partition" in ended.err
    assert "sinfo -s" in ended.err
    assert not runs.exists() or list(runs.iterdir()) == []
    assert on_cluster.queue() == []
