"""The loop: what a step does to the weights, and that a stopped run ends like one that was never stopped."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jobs import assert_same, rows_of, start_of, state_of, stop_at

from cohort_cli.training import checkpoint, launch
from cohort_cli.training.guards import NotFinite
from cohort_cli.training.runs import RunFolder

Train = Callable[..., list[dict[str, Any]]]
MakeRun = Callable[..., RunFolder]


def test_the_loss_falls(make_run: MakeRun, train: Train) -> None:
    folder = make_run("a", "schedule.steps=60", "batch.micro_sequences=8")
    events = train(folder)
    losses = [event["validation_loss"] for event in events if event["event"] == "eval"]
    vocabulary = start_of(events)["vocab_size"]
    assert abs(losses[0] - math.log(vocabulary)) < 0.1
    assert losses[-1] < losses[0] - 0.5
    assert events[-1] == {"event": "end", "state": "done"}


@pytest.mark.parametrize("stops", [(1,), (5,), (4, 8), (11,)], ids=str)
def test_a_stopped_run_ends_like_an_uninterrupted_one(
    make_run: MakeRun, train: Train, stops: tuple[int, ...]
) -> None:
    settings = ("model.dropout=0.2", "run.sample_every=5")
    whole, parts = make_run("whole", *settings), make_run("parts", *settings)
    train(whole)
    for stop in stops:
        assert train(parts, stop_at(stop))[-1]["state"] == "stopped"
        assert state_of(parts)[0] == stop
    assert train(parts)[-1]["state"] == "done"
    assert_same(whole, parts)


def test_a_stop_between_micro_batches_forgets_half_a_step(make_run: MakeRun, train: Train) -> None:
    """The request comes while a step's gradients are half added up: the step is done again, whole."""
    from cohort_cli.training import tasks

    whole, parts = make_run("whole"), make_run("parts")
    train(whole)
    calls, stops = [0], []
    original = tasks.Pretrain.loss

    def loss(self: Any, model: Any, tensors: Any) -> Any:
        calls[0] += model.training
        if calls[0] == 18:  # 4 micro-batches per step: the second one of step 5
            stops[0].request("in the middle")
        return original(self, model, tensors)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.Pretrain, "loss", loss)

        def hear(event: dict[str, Any], stop: Any) -> None:
            stops.append(stop)

        assert train(parts, hear)[-1]["state"] == "stopped"
    assert state_of(parts)[0] == 4
    train(parts)
    assert_same(whole, parts)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_micro_batches_add_up_to_the_whole_batch(make_run: MakeRun, train: Train, name: str) -> None:
    """1 x 8 sequences and 4 x 2 give the same losses and gradient norms, within float32's rounding."""
    settings = (f"optimizer.name={name}", "schedule.steps=6")
    one = make_run("one", *settings, "batch.micro_sequences=8")
    four = make_run("four", *settings, "batch.micro_sequences=2")
    train(one)
    train(four)
    for a, b in zip(rows_of(one), rows_of(four), strict=True):
        for key in a.keys() & {"loss", "grad_norm", "validation_loss"}:
            assert a[key] == pytest.approx(b[key], rel=2e-4), (key, a["step"])


def test_measuring_and_writing_samples_change_nothing(make_run: MakeRun, train: Train) -> None:
    quiet = make_run("quiet", "run.eval_every=12", "model.dropout=0.2")
    busy = make_run(
        "busy", "run.eval_every=1", "run.sample_every=1", "run.checkpoint_every=1", "model.dropout=0.2"
    )
    train(quiet)
    train(busy)
    tensors = state_of(busy)[1]
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in state_of(quiet)[1].items())


def test_a_loss_that_is_no_number_stops_before_it_changes_a_weight(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cohort_cli.training import tasks

    folder = make_run("a")
    original, step = tasks.Pretrain.loss, [0]

    def hear(event: dict[str, Any], stop: Any) -> None:
        step[0] = event.get("step", step[0]) if event["event"] == "step" else step[0]

    def loss(self: Any, model: Any, tensors: Any) -> Any:
        return original(self, model, tensors) * (math.nan if step[0] == 6 and model.training else 1.0)

    monkeypatch.setattr(tasks.Pretrain, "loss", loss)
    with pytest.raises(NotFinite) as caught:
        train(folder, hear)
    assert "loss of step 7 is nan" in caught.value.message
    assert "learning_rate" in caught.value.repair
    assert caught.value.exit_code == 7
    step_saved, tensors = state_of(folder)
    assert step_saved == 4
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    monkeypatch.setattr(tasks.Pretrain, "loss", original)
    assert train(folder)[-1]["state"] == "done"


def test_the_rate_follows_the_optimizer_step(make_run: MakeRun, train: Train) -> None:
    folder = make_run("a", "optimizer.learning_rate=0.001", "schedule.final_share=0.1")
    train(folder)
    rates = [row["lr"] for row in folder.read_metrics() if "lr" in row]
    assert rates[:3] == pytest.approx([0.001 / 3, 0.002 / 3, 0.001])
    assert len(rates) == 12  # one per step, not per micro-batch
    assert rates[-1] > 0.0001
    assert rates[3:] == sorted(rates[3:], reverse=True)


def test_tensorboard_gets_the_same_numbers(make_run: MakeRun, train: Train) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = make_run("a", "run.tensorboard=true")
    train(folder, stop_at(5))
    train(folder)
    seen = EventAccumulator(str(folder.root / "tensorboard")).Reload()
    losses = {row["step"]: row["loss"] for row in folder.read_metrics() if "loss" in row}
    assert {event.step: event.value for event in seen.Scalars("loss")} == pytest.approx(losses)
    assert [event.step for event in seen.Scalars("validation_loss")] == [0, 6, 12]


def test_a_run_that_nobody_listens_to_any_more_saves_and_stops(make_run: MakeRun) -> None:
    """As when the terminal's window is closed: the process that showed the events is gone."""
    folder = make_run("a", "schedule.steps=100000", "run.log_every=1", "run.checkpoint_every=100000")
    with subprocess.Popen(
        launch.command(folder, 1), env=launch.environment(1, 1), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while '"event": "step"' not in process.stdout.readline():
            pass
        process.stdout.close()
        assert process.wait(60) == 75
    status = folder.read_status()
    assert status.state == "stopped"
    assert state_of(folder)[0] == status.step > 0


def test_a_saved_checkpoint_is_told_when_it_is_safe(make_run: MakeRun, train: Train) -> None:
    folder = make_run("a")

    def hear(event: dict[str, Any], stop: Any) -> None:
        if event["event"] == "checkpoint":
            path = folder.checkpoints / f"step-{event['step']:08d}"
            assert checkpoint.verify(path) == []

    told = [event["step"] for event in train(folder, hear) if event["event"] == "checkpoint"]
    assert told == [4, 8, 12]
