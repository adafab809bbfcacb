"""What happens to a job on a real Slurm of two nodes, when something happens to it. The trainer is a stub without torch.

The jobs are sent together, since most of their time is Slurm's: it waits before it starts a job once more. Each
brings its own fault, at a step that is always the same. `load` reads the newest whole checkpoint, and its weights are
a hash over what each process brought to each step.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cluster import Cluster
from on_slurm import Send, Sent, said, starts, wait, wait_for_step
from stub_trainer import load, uninterrupted

from cohort_cli.launching.job import Limits
from cohort_cli.launching.job import read as read_job


class Case(NamedTuple):
    """A fault, and how its job ends."""

    fault: str
    call: str = ""
    state: str = "done"  # in status.json
    step: int = 40  # of the newest checkpoint
    again: int = 0  # starts after the first one
    words: str = ""  # in what the run says of itself
    nodes: int = 2
    processes: int = 1
    gpus: int = 0


CASES = {
    "nothing happens": Case("", processes=2),
    "its time is nearly up": Case("call:0@16", 'scancel --signal=USR1 --batch "$SLURM_JOB_ID"', again=1),
    "a job of a higher partition": Case(
        "call:0@16",
        "sbatch -p high --nodes=2 --gpus-per-node=8 -o /dev/null --wrap 'sleep 1'",
        again=1,
        gpus=1,
    ),
    "somebody puts it back into the queue": Case("call:0@16", 'scontrol requeue "$SLURM_JOB_ID"', again=1),
    "the second process is killed": Case("kill:1@25", again=1),
    "the first process is killed": Case("kill:0@25", again=1),  # as the kernel does when memory is out
    "one of two on a node is killed": Case("kill:1@25", again=1, nodes=1, processes=2),
    "killed before it saves": Case(
        "die:1@5", state="failed", step=0, again=1, words="Gave up after 2 starts"
    ),
    "a bug in all processes": Case("bug:*@15", state="failed", step=10, words="this part is wrong"),
    "a bug in one process": Case("bug:1@15", state="failed", step=10, words="this part is wrong"),
    "a bug, one process alone": Case("bug:0@15", state="failed", step=10, words="part is wrong", nodes=1),
    "a GPU has too little memory": Case(
        "oom:*@15", state="failed", step=10, words="The memory was not enough"
    ),
    "cancelled by scancel": Case("call:0@16", 'scancel "$SLURM_JOB_ID"', state="stopped", step=15),
    "a person writes STOP": Case("call:0@16", 'touch "$STUB_RUN/STOP"', state="stopped", step=15),
}


@pytest.fixture(scope="module", autouse=True)
def jobs(send: Send, on_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[dict[str, Sent]]:
    """The chosen cases' jobs, sent together and before all else: the other tests here pass while these wait.

    Another process of the tests may be the one that looks at some of them, so some may be left at the end.
    """
    chosen = [getattr(item, "callspec", None) for item in request.session.items]
    names = {spec.params["name"] for spec in chosen if spec is not None and "name" in spec.params}
    yield {
        name: send(
            name.replace(" ", "-"), case.fault, nodes=case.nodes, gpus=case.gpus, processes=case.processes,
            limits=Limits(600, 30, max_stalls=1), STUB_CALL=case.call,
            STUB_SAVE="2" if case.state == "stopped" else "0",
        )
        for name, case in CASES.items() if name in names
    }  # fmt: skip
    on_cluster.empty()


def test_the_place_stops_a_job_that_saves_and_does_not_come_back(send: Send, on_cluster: Cluster) -> None:
    sent = send("stopped", steps=100_000)
    folder, handle, place = sent
    wait_for_step(sent, 10)
    assert place.status(handle) == ("running", "running on n[1-2]")
    place.cancel(handle, folder.root)
    assert wait(sent) == "completed"
    assert folder.read_status().state == "stopped"
    step, weights = load(folder)
    assert weights == uninterrupted(1, step, 2)
    assert starts(folder) == 1
    assert handle.id not in on_cluster.queue()
    lines = list(place.logs(handle, folder.root, follow=True))
    assert f"stopped: A person asked it to stop; saved at step {step}." in lines


def test_a_job_that_waits_is_taken_out_of_the_queue(send: Send, on_cluster: Cluster) -> None:
    on_cluster.call("scontrol", "update", "PartitionName=main", "State=DOWN")
    try:
        sent = send("waits")
        folder, handle, place = sent
        assert place.status(handle).state == "waiting"
        place.cancel(handle, folder.root)
        assert wait(sent).startswith("cancelled")
        assert not (folder.root / "slurm.out").exists()
    finally:
        on_cluster.call("scontrol", "update", "PartitionName=main", "State=UP")


def test_a_full_disk_ends_the_job_and_the_next_start_goes_on(send: Send, small_disk: Path) -> None:
    sent = send("small", home=small_disk, STUB_BYTES="1000000")  # three of four checkpoints have room
    folder, _, place = sent
    assert wait(sent).startswith("failed")
    words = said(folder)
    assert load(folder) == (30, uninterrupted(1, 30, 2)), words
    assert starts(folder) == 1, words
    assert "is full" in words or "no room" in words

    for step in (10, 20):
        shutil.rmtree(folder.checkpoints / f"step-000000{step}")
    job = read_job(folder.root)
    assert job is not None
    again = place.submit(job, place.render(job), folder.root)
    wait((folder, again, place))
    assert load(folder) == (40, uninterrupted(1, 40, 2)), said(folder)
    assert folder.read_status().state == "done"


@pytest.mark.parametrize("name", CASES)
def test_the_job_ends_as_it_should(name: str, jobs: dict[str, Sent]) -> None:
    case, sent = CASES[name], jobs[name]
    slurm = wait(sent)
    folder = sent[0]
    status, words = folder.read_status(), said(folder)
    assert status.state == case.state, words
    assert case.words in status.message + (folder.root / "slurm.out").read_text(), words
    step, weights = load(folder)
    assert step == case.step, words
    assert weights == uninterrupted(1, step, case.nodes * case.processes), words
    assert starts(folder) == 1 + case.again, words
    expected = {"done": "completed", "failed": "failed", "stopped": "c"}[
        case.state
    ]  # cancelled, or completed
    assert slurm.startswith(expected), f"{slurm}\n{words}"
