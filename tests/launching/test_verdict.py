"""What a run's folder says about a job that has ended: done, stopped, failed, or to be started once more."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from stub_trainer import save

from cohort_cli.catalog import find_project
from cohort_cli.launching import job as jobs
from cohort_cli.launching import verdict
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.training import kept
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that two processes train."""
    config = load_preset(preset_path(find_project("project3"), "smoke"), ["schedule.steps=40"])
    folder = RunFolder.create(tmp_path / "run", config, project="project3")
    job = Job(str(folder.root), "project3", "smoke", Resources(2), Limits(max_stalls=1))
    jobs.keep(job, folder.root)
    return folder


def errors(run: RunFolder, *found: Exception | None) -> None:
    for rank, error in enumerate(found):
        if error is not None:
            run.write_error(rank, error, 3)


class DistBackendError(RuntimeError):
    """torch's class for trouble with NCCL."""


PEER = RuntimeError(
    "[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:42"
)
NCCL = DistBackendError("NCCL error: remote process exited or there was a network error")
BUG, OTHER = ValueError("wrong"), RuntimeError("shapes do not fit")
FULL = OSError(28, "No space left on device")


class Case(NamedTuple):
    found: tuple[Exception | None, ...]
    what: str
    words: str = ""


CASES = {
    "no word from anybody": Case((), "again", "left no word"),
    "the peer of a killed process": Case((PEER, None), "again", "Connection closed"),
    "both lost each other": Case((PEER, PEER), "again"),
    "NCCL on both": Case((NCCL, NCCL), "again"),
    "a bug on both": Case((BUG, BUG), "failed", "what a member reads"),
    "a bug on the second": Case((PEER, BUG), "failed", "Process 1: ValueError: wrong"),
    "a bug on the first": Case((BUG, PEER), "failed", "what a member reads"),
    "the same RuntimeError on both": Case((OTHER, OTHER), "failed", "what a member reads"),
    "a RuntimeError on one": Case((None, OTHER), "again"),
    "no room on one": Case((PEER, FULL), "failed", "No space left"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_an_error_means(name: str, run: RunFolder) -> None:
    case = CASES[name]
    run.write_status("failed", 3, 40, message="what a member reads", exit=1)
    errors(run, *case.found)
    found = verdict.end(run.root)
    assert found.what == case.what
    assert case.words in found.says
    if case.what == "failed":
        assert run.read_status().message == found.says


def test_one_process_alone_has_no_peer_to_lose(run: RunFolder) -> None:
    jobs.keep(Job(str(run.root), "project3", "smoke"), run.root)
    run.write_status("failed", 3, 40, message="", exit=7)
    errors(run, PEER)
    assert verdict.end(run.root).what == "failed"


def test_starts_without_one_more_saved_step_are_counted(run: RunFolder) -> None:
    def start(saved: int | None) -> str:
        assert verdict.begin(run.root) is None
        if saved is not None:
            save(run, saved, "")
        return verdict.end(run.root).what

    assert [start(step) for step in (10, None, 20, None)] == ["again"] * 4
    assert start(None) == "failed"
    status = run.read_status()
    assert (status.state, status.step, status.exit) == ("failed", 20, 7)
    assert "Gave up after 2 starts in a row that saved no step after 20" in status.message


def test_an_error_of_an_earlier_start_is_over(run: RunFolder) -> None:
    errors(run, BUG, BUG)
    assert verdict.begin(run.root) is None
    assert verdict.end(run.root).what == "again"


def test_a_checkpoint_that_is_not_whole_is_no_progress(run: RunFolder) -> None:
    save(run, 10, "")
    save(run, 20, "")
    (run.checkpoints / "step-00000020" / "model.bin").write_bytes(b"short")
    assert kept.saved_step(run) == 10


@pytest.mark.parametrize(
    ("inside", "reason", "what"),
    [
        ("", "", "stopped"),  # a person's
        ("walltime\n", "walltime", "again"),
        ("cancel\n", "cancel", "stopped"),
        ("", "cancel", "stopped"),
    ],
)
def test_whose_stop_it_was(inside: str, reason: str, what: str, run: RunFolder) -> None:
    run.write_status("stopped", 3, 40, exit=75)
    run.stop_path.write_text(inside)
    assert verdict.end(run.root, reason).what == what
    assert run.stop_path.exists() == (what == "stopped")


@pytest.mark.parametrize(("inside", "starts"), [("walltime\n", True), ("cancel\n", True), ("", False)])
def test_a_stop_of_an_earlier_start(inside: str, starts: bool, run: RunFolder) -> None:
    """The place brought the job back: then its own request is over. A person's is not."""
    run.stop_path.write_text(inside)
    found = verdict.begin(run.root)
    assert (found is None) == starts
    assert run.stop_path.exists() != starts


def test_interrupted_without_a_word_of_ours_goes_on(run: RunFolder) -> None:
    """A scheduler that takes the machine back asks the trainers, not the script."""
    run.write_status("stopped", 3, 40, exit=75)
    assert verdict.end(run.root).what == "again"


def test_what_is_done_is_done(run: RunFolder) -> None:
    run.write_status("done", 40, 40, exit=0)
    errors(run, BUG, BUG)
    assert verdict.end(run.root, "walltime").what == "done"
    begun = verdict.begin(run.root)
    assert begun is not None
    assert begun.what == "done"


def test_a_disk_on_which_no_error_could_be_written(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(run.root)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    found = verdict.end(run.root)
    assert (found.what, "4.1 kB left" in found.says) == ("failed", True)


def test_it_waits_for_a_machine_that_may_still_hold_the_folder(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner: dict[str, Any] = {"pid": 1, "began": 0.0, "host": "another-" + socket.gethostname(), "token": "t"}
    lock = run.root / "lock.json"
    lock.write_text(json.dumps(owner))
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            os.utime(lock, (0, 0))  # nobody has touched it for long

    monkeypatch.setattr(verdict.time, "sleep", nap)
    assert verdict.begin(run.root) is None
    assert len(naps) == 3
    os.utime(lock)
    monkeypatch.setattr(verdict, "LOCK_SECONDS", -1)
    begun = verdict.begin(run.root)
    assert begun is not None
    assert begun.what == "failed"


def test_as_a_program(run: RunFolder) -> None:
    def call(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "cohort_cli.launching.verdict", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout

    root = str(run.root)
    assert call("begin", root) == (75, "")
    assert call("end", root)[0] == 75
    run.write_status("done", 40, 40, exit=0)
    assert call("end", root, "walltime") == (0, "done: All 40 steps are made.\n")
    code, words = call("begin", root + "-not")
    assert (code, words.startswith("failed: ")) == (7, True)
    assert call("nonsense")[0] == 7
