"""This machine, with the real torchrun: what is killed goes on to the same bits, and nobody trains on unseen."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import Cohort

from cohort_cli.launching import here, job, place
from cohort_cli.training import kept
from cohort_cli.training.runs import RunFolder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux lists them")
MakeRun = Callable[..., RunFolder]
CLOCK = ("seconds", "tokens_per_second", "utilisation")
STEPS = 40
PATIENCE = 300.0  # seconds; then something hangs


def sent(folder: RunFolder, *, processes: int = 2) -> subprocess.Popen[bytes]:
    """The job under its supervisor, as --detach starts it."""
    job.keep(job.Job(str(folder.root), "project3", "smoke", job.Resources(processes=processes)), folder.root)
    with (folder.root / here.LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cohort_cli.launching", str(folder.root)], stdout=log, stderr=log
        )


def trainers(folder: RunFolder) -> list[psutil.Process]:
    """Every living process that trains this folder."""
    return [one for one in processes_of(folder) if "cohort_cli.training" in one.cmdline()]


def launcher(folder: RunFolder) -> psutil.Process:
    return next(one for one in processes_of(folder) if "cohort_cli.training.torchrun" in one.cmdline())


def processes_of(folder: RunFolder) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["status", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and str(folder.root) in words:
            if "cohort_cli.training" in words and "cohort_cli.training.torchrun" in words:
                words.remove("cohort_cli.training")
            process.cmdline = lambda words=words: words  # as it was when we looked
            found.append(process)
    return found


def wait_for(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end, "it hangs"
        time.sleep(0.01)
    return found


def step_of(folder: RunFolder) -> int:
    return max((row["step"] for row in folder.read_metrics()), default=0)


def fingerprint(folder: RunFolder) -> dict[str, Any]:
    """The hashes of the last checkpoint's tensors, and the rows without the clock's columns."""
    newest = kept.newest(kept.checkpoints(folder, checked=True))
    assert newest is not None
    files = json.loads((newest.path / "manifest.json").read_bytes())["files"]
    hashes = {name: facts["sha256"] for name, facts in files.items() if name.endswith(".safetensors")}
    rows = [{key: row[key] for key in row if key not in CLOCK} for row in folder.read_metrics()]
    return {"step": newest.step, **hashes, "rows": rows}


@pytest.fixture(scope="module")
def once() -> dict[str, Any]:
    """What an uninterrupted run of two processes leaves; trained when it is first asked for."""
    return {}


@pytest.fixture
def expected(make_run: MakeRun, once: dict[str, Any]) -> dict[str, Any]:
    if not once:
        whole = make_run("whole")
        assert sent(whole).wait(PATIENCE) == 0, (whole.root / here.LOG).read_text()
        once.update(fingerprint(whole))
        assert once["step"] == STEPS
    return once


@pytest.fixture(autouse=True)
def nobody_left(runs: Path) -> Iterator[None]:
    yield
    for process in psutil.process_iter(["cmdline"]):
        if any(str(runs) in word for word in process.info["cmdline"] or []):
            process.kill()


def kill_a_trainer(folder: RunFolder, chance: random.Random) -> int:
    """kill -9 one of the two in the middle of training. Returns the step."""
    supervisor = sent(folder)
    moment = chance.randrange(3, 30)
    wait_for(lambda: step_of(folder) >= moment)
    victim = chance.choice(trainers(folder))
    step = step_of(folder)
    victim.kill()
    assert supervisor.wait(PATIENCE) == 0, (folder.root / here.LOG).read_text()
    assert step < STEPS, "it was killed too late to say anything"
    assert "started again from step" in folder.log_path.read_text(encoding="utf-8")
    return step


def test_a_killed_trainer_goes_on_to_the_same_bits(make_run: MakeRun, expected: dict[str, Any]) -> None:
    folder = make_run("killed")
    kill_a_trainer(folder, random.Random(1))
    assert fingerprint(folder) == expected


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(20))
def test_twenty_of_twenty(make_run: MakeRun, expected: dict[str, Any], trial: int) -> None:
    folder = make_run(f"killed-{trial}")
    step = kill_a_trainer(folder, random.Random(trial))
    print(f"trial {trial}: killed at step {step}")
    assert fingerprint(folder) == expected


@pytest.mark.slow
def test_no_trainer_outlives_who_started_it(
    make_run: MakeRun, expected: dict[str, Any], cohort: Cohort
) -> None:
    """kill -9 of torchrun: its trainers end, and new ones go on. Then of the supervisor: all end, and have saved."""
    folder = make_run("orphans", "schedule.steps=100000")
    supervisor = sent(folder)
    wait_for(lambda: step_of(folder) >= 5)
    first, pids = trainers(folder), {one.pid for one in trainers(folder)}
    assert len(first) == 2
    launcher(folder).kill()
    wait_for(lambda: len(new := trainers(folder)) == 2 and not pids & {one.pid for one in new})
    before = step_of(folder)
    wait_for(lambda: step_of(folder) > before + 5)
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: not processes_of(folder))
    status = folder.read_status()
    assert status.state == "stopped"
    newest = kept.newest(kept.checkpoints(folder))
    assert newest is not None
    assert newest.step == status.step > before, "they saved before they ended"
    ended = cohort("train", "project3", "--resume", "--name", "orphans", "--on", "here", "--processes", "2",
                   "--set", f"schedule.steps={newest.step + 3}")  # fmt: skip
    assert ended.code == 0, ended.err
    assert folder.read_status().step == newest.step + 3


@pytest.mark.slow
def test_two_jobs_do_not_collide(make_run: MakeRun, expected: dict[str, Any]) -> None:
    folders = [make_run("one"), make_run("two")]
    for supervisor in [sent(folder) for folder in folders]:
        assert supervisor.wait(PATIENCE) == 0
    for folder in folders:
        assert fingerprint(folder) == expected


# --- in the background, one process ------------------------------------------------------------------------------

LONG = ["--set", "schedule.steps=100000", "--set", "run.eval_tokens=500", "--set", "hardware.threads=1",
        "--set", "run.log_every=1", "--set", "hardware.device=cpu"]  # fmt: skip


def test_a_job_in_the_background_is_listed_followed_and_stopped(runs: Path, cohort: Cohort) -> None:
    ended = cohort("train", "project3", "--smoke", *LONG, "--name", "bg", "--on", "here", "--detach")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "next: cohort runs logs bg --follow"
    folder = RunFolder.open(runs / "bg")
    wait_for(lambda: step_of(folder) >= 2)
    handle = place.read_handle(folder.root)
    assert handle is not None
    supervisor = psutil.Process(int(handle.id.partition(":")[0]))
    assert os.getsid(supervisor.pid) == supervisor.pid, "a closed terminal does not reach it"
    again = cohort("train", "project3", "--resume", "--name", "bg", "--on", "here", "--detach")
    assert again.code == 2
    assert "bg is running at here already" in again.err
    listed = cohort("runs", "list").out.splitlines()
    assert listed[0].endswith("PLACE")
    assert listed[1].split()[:2] == ["bg", "running"]
    assert listed[1].endswith("here")
    assert f"place       here: process {supervisor.pid}" in cohort("runs", "show", "bg").out
    logs = cohort("runs", "logs", "bg")
    assert "training " in logs.out
    stopped = cohort("runs", "stop", "bg")
    assert stopped.code == 0, stopped.err
    assert stopped.out.startswith("stopped     at step ")
    assert here.Here().status(handle).state == "gone"
    followed = cohort("runs", "logs", "bg", "--follow")
    assert "end         stopped at step" in followed.out
    assert "everything is here" in cohort("runs", "fetch", "bg").out
    assert processes_of(folder) == []
