"""On a real Slurm, what takes minutes: a time limit that is really reached, a node that dies, and the real trainer."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from cluster import Cluster
from on_slurm import Send, Sent, said, starts, wait, wait_for_step
from stub_trainer import load, uninterrupted
from support import REPO

from cohort_cli.catalog import find_project
from cohort_cli.launching import job as jobs
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.settings import Slurm as Settings
from cohort_cli.launching.slurm import Slurm
from cohort_cli.training import kept
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

pytestmark = pytest.mark.slow

TINY = (
    "model.n_layers=2", "model.d_model=32", "model.n_heads=2", "model.context=32", "batch.sequences=4",
    "schedule.warmup_steps=2", "run.eval_every=1000", "run.checkpoint_every=20", "run.log_every=10",
    "hardware.threads=1",
)  # fmt: skip


def test_a_time_limit_that_is_reached(send: Send) -> None:
    """Slurm counts in minutes, and its signal may come up to a minute early."""
    sent = send("walltime", steps=700, limits=Limits(60, 20, max_stalls=1), STUB_PAUSE="0.1")
    folder = sent[0]
    wait(sent, 600)
    assert folder.read_status().state == "done", said(folder)
    assert load(folder) == (700, uninterrupted(1, 700, 2)), said(folder)
    assert starts(folder) >= 2, said(folder)
    assert "its time is nearly up" in said(folder)


def test_a_node_that_dies(send: Send, on_cluster: Cluster) -> None:
    """Slurm notices it after a while, and starts the job on the nodes that are left."""
    sent = send("node", nodes=1, processes=2, steps=400, STUB_PAUSE="0.05")
    folder, handle, place = sent
    wait_for_step(sent, 20)
    node = place.status(handle).says.removeprefix("running on ")
    try:
        on_cluster.kill_node(node)
        wait(sent, 300)
        assert folder.read_status().state == "done", said(folder)
        assert load(folder) == (400, uninterrupted(1, 400, 2)), said(folder)
        assert starts(folder) == 2, said(folder)
    finally:
        on_cluster.start_node(node)
        on_cluster.wait_idle()


# --- the real trainer ------------------------------------------------------------------------------------------


def real(home: Path, name: str, resources: Resources, limits: Limits, *settings: str) -> Sent:
    place = Slurm(Settings(python=sys.executable))
    config = load_preset(preset_path(find_project("project3"), "smoke"), [*TINY, *settings])
    folder = RunFolder.create(home / name, config, project="project3")
    job = Job(str(folder.root), "project3", "smoke", resources, limits, env=(("PYTHONPATH", str(REPO)),))
    jobs.keep(job, folder.root)
    return folder, place.submit(job, place.render(job), folder.root), place


def weights(folder: RunFolder) -> tuple[int, str]:
    """(step, hash of every tensor) of the newest checkpoint. In which order a file has them is no matter."""
    from safetensors.numpy import load_file

    found = kept.newest(kept.checkpoints(folder, checked=True))
    assert found is not None, said(folder)
    digest = hashlib.sha256()
    for path in sorted(found.path.glob("*.safetensors")):
        for name, tensor in sorted(load_file(path).items()):
            digest.update(f"{path.name} {name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    return found.step, digest.hexdigest()


def test_two_nodes_train_on_after_the_time_limit(on_cluster: Cluster, tmp_path: Path) -> None:
    steps = "schedule.steps=60"
    quiet = real(tmp_path, "quiet", Resources(2), Limits(600, 30), steps)
    wait(quiet, 400)
    assert quiet[0].read_status().state == "done", said(quiet[0])
    sent = real(tmp_path, "limited", Resources(2), Limits(600, 30), steps)
    wait_for_step(sent, 20, 200)
    on_cluster.call("scancel", "--signal=USR1", "--batch", sent[1].id)
    wait(sent, 400)
    folder = sent[0]
    assert folder.read_status().state == "done", said(folder)
    assert starts(folder) == 2, said(folder)
    assert weights(folder) == weights(quiet[0]), said(folder)
    assert weights(folder)[0] == 60


def test_a_killed_shard_of_fsdp_on_one_node(on_cluster: Cluster, tmp_path: Path) -> None:
    settings = ("schedule.steps=60", "hardware.parallel=fsdp")
    quiet = real(tmp_path, "quiet", Resources(1, processes=2), Limits(600, 30), *settings)
    wait(quiet, 400)
    assert quiet[0].read_status().state == "done", said(quiet[0])
    sent = real(tmp_path, "killed", Resources(1, processes=2), Limits(600, 30), *settings)
    wait_for_step(sent, 20, 200)
    os.kill(worker(sent[0], "1"), signal.SIGKILL)
    wait(sent, 400)
    folder = sent[0]
    assert folder.read_status().state == "done", said(folder)
    assert starts(folder) == 2, said(folder)
    assert weights(folder) == weights(quiet[0]), said(folder)


def worker(folder: RunFolder, rank: str) -> int:
    """The process of this rank that trains the folder."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if words[-1:] == [str(folder.root)] and process.environ().get("RANK") == rank:
                    return process.pid
        time.sleep(0.1)
    raise AssertionError(said(folder))
