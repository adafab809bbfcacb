"""Two processes train one model like one process does: real torchrun, gloo, on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from jobs import events_of, rows_of, start_of, state_of, worker

from cohort_cli.training.runs import RunFolder

MakeRun = Callable[..., RunFolder]
# Sums of float32 in another order. over these 12 steps the losses parted by 2e-7 at most where this was measured.
ROUNDING = 5e-6


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_give_the_losses_of_one(make_run: MakeRun, parallel: str) -> None:
    settings = (f"hardware.parallel={parallel}",)
    one, two = make_run("one", *settings), make_run("two", *settings)
    for folder, processes in ((one, 1), (two, 2)):
        done = worker(folder, processes)
        assert done.returncode == 0, done.stderr[-3000:]
        start = start_of(events_of(done))
        assert start["processes"] == processes
        assert folder.read_status().state == "done"
    assert start["parallel"] == parallel
    for a, b in zip(rows_of(one), rows_of(two), strict=True):
        for key in a.keys() & {"loss", "validation_loss", "grad_norm"}:
            assert a[key] == pytest.approx(b[key], rel=ROUNDING), (key, a["step"])
    # what two processes saved, one can read
    assert state_of(one)[1].keys() == state_of(two)[1].keys()


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_run_of_two_processes_goes_on_bit_for_bit(make_run: MakeRun, parallel: str) -> None:
    """Stopped by a signal to torchrun, then started again."""
    settings = (f"hardware.parallel={parallel}", "model.dropout=0.2", "optimizer.name=muon")
    whole, parts = make_run("whole", *settings), make_run("parts", *settings)
    assert worker(whole, 2).returncode == 0
    worker(parts, 2, stop_after=5)
    assert parts.read_status().state == "stopped"
    assert 5 <= parts.read_status().step < 12
    assert worker(parts, 2).returncode == 0
    assert state_of(whole)[0] == state_of(parts)[0] == 12
    for name, tensor in state_of(whole)[1].items():
        assert torch.equal(tensor, state_of(parts)[1][name]), name
    assert rows_of(whole) == rows_of(parts)


@pytest.mark.slow
def test_what_two_processes_sharded_one_goes_on_with(make_run: MakeRun) -> None:
    folder = make_run("a", "hardware.parallel=fsdp")
    worker(folder, 2, stop_after=5)
    step = folder.read_status().step
    done = worker(folder, 1)
    assert done.returncode == 0, done.stderr[-3000:]
    notes = " ".join(start_of(events_of(done))["notes"])
    assert f"resumed from step {step}" in notes
    assert "processes was 2 and is 1" in notes


def test_a_batch_that_the_processes_cannot_share_is_refused(make_run: MakeRun) -> None:
    folder = make_run("a", "batch.sequences=3", "batch.micro_sequences=1")
    assert worker(folder, 2).returncode != 0
    status = folder.read_status()
    assert (status.state, status.exit) == ("failed", 2)
    assert "cannot share" in status.message
