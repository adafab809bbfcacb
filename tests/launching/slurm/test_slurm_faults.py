"""What happens to a job on a real Slurm of two nodes, when something happens to it. The trainer is a stub without torch."""

from __future__ import annotations

from conftest import Send, said, wait
from stub_trainer import load, uninterrupted


def test_two_nodes_train_one_run(send: Send) -> None:
    sent = send("quiet", processes=2)
    folder = sent[0]
    assert wait(sent) == "completed"
    assert folder.read_status().state == "done", said(folder)
    assert load(folder) == (40, uninterrupted(1, 40, 4)), said(folder)
