"""What a run depends on besides its own folder, and what must not hurt it: other runs, its data, its sample."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jobs import start_of, state_of, stop_at

from cohort_cli.errors import DataTrouble, UsageError
from cohort_cli.training import checkpoint, job, launch, optim, play, seal, sharded, tasks
from cohort_cli.training.config import Config, Data
from cohort_cli.training.finetune.records import load_records
from cohort_cli.training.loop import Loop
from cohort_cli.training.parts import Parts
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import StopFlag

Train = Callable[..., list[dict[str, Any]]]
MakeRun = Callable[..., RunFolder]
INSTRUCT = ("task=instruct", "data.source=kit:instructions", "model.context=400", "run.sample_tokens=4")


def test_a_run_keeps_what_it_started_from(make_run: MakeRun, train: Train) -> None:
    """The base is trained on, and its old checkpoints go; the frozen weights of the tuned run stay what they were."""
    base = make_run("base", *INSTRUCT, "schedule.steps=4", "run.keep=1")
    train(base)
    tuned = make_run(
        "tuned", *INSTRUCT, "model.start_from=run:base", "model.train_blocks=1", "schedule.steps=4"
    )
    train(tuned)
    newest = checkpoint.checkpoints(tuned.checkpoints)[0]
    before = play.load(tuned, newest, with_data=False).model.state_dict()
    started_from = checkpoint.checkpoints(base.checkpoints)
    base.change(base.config()._replace(schedule=base.config().schedule._replace(steps=16)))
    train(base)
    assert not any(path.exists() for path in started_from)
    after = play.load(tuned, newest, with_data=False).model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert tuned.config().model.start_from == str(tuned.root / "start" / started_from[0].name)


def test_a_run_whose_text_was_changed_does_not_go_on(make_run: MakeRun, train: Train, tmp_path: Path) -> None:
    """The alphabet keeps its size, so nothing but a comparison would show that every id means another letter."""
    text = tmp_path / "text.txt"
    text.write_text("a quick brown fox. " * 400, encoding="utf-8")
    folder = make_run("a", f"data.source={text}", "run.eval_tokens=100")
    train(folder, stop_at(5))
    kept = folder.tokenizer_path.read_bytes()
    text.write_text("z quick brown fox. " * 400, encoding="utf-8")
    with pytest.raises(DataTrouble, match="no longer the text"):
        train(folder)
    assert folder.tokenizer_path.read_bytes() == kept
    text.write_text("a quick brown fox. " * 400, encoding="utf-8")
    assert train(folder)[-1]["state"] == "done"


def test_the_best_is_the_best_of_those_that_were_saved(make_run: MakeRun, train: Train) -> None:
    losses = {0: 5.0, 1: 1.0, 2: 1.1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "validation_loss", lambda self: losses.get(self.step, 1.0 + self.step / 10))
        folder = make_run("a", "run.eval_every=1", "run.checkpoint_every=2", "run.keep=1", "schedule.steps=8")
        train(folder, stop_at(4))
        train(folder)  # what was best is remembered
    best = checkpoint.best(folder.checkpoints)
    assert best is not None
    assert best.name == "step-00000002"


@pytest.mark.parametrize("what", ["sample", "score"])
def test_a_sample_or_a_score_that_fails_costs_nothing(make_run: MakeRun, train: Train, what: str) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no words")

    folder = make_run("a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.Pretrain, what, fails)
        events = train(folder)
    assert events[-1]["state"] == "done"
    assert state_of(folder)[0] == 12
    assert any("no words" in event.get("text", "") for event in events)


def test_a_stop_during_the_last_evaluation_leaves_it_for_the_next_start(
    make_run: MakeRun, train: Train
) -> None:
    folder = make_run("a")
    real = Loop.validation_loss

    def loss(self: Loop) -> float | None:
        if self.step == 12:
            self.stop.request("the test")
        return real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "validation_loss", loss)
        assert train(folder)[-1]["state"] == "stopped"
    assert checkpoint.best(folder.checkpoints) is None or state_of(folder)[0] == 12
    assert train(folder)[-1]["state"] == "done"
    assert [row["step"] for row in folder.read_metrics() if "validation_loss" in row] == [0, 6, 12]
    best = checkpoint.best(folder.checkpoints)
    assert best is not None
    assert best.name == "step-00000012"


def test_shards_of_a_run_without_a_step_have_an_empty_optimizer(tmp_path: Path) -> None:
    sharded.write(tmp_path, {"model": {"w": torch.ones(3)}, "optimizer": {}})
    read = sharded.read(tmp_path)
    assert read["optimizer"] == {}
    assert torch.equal(read["model"]["w"], torch.ones(3))


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_a_resumed_run_holds_no_file_of_its_checkpoints(make_run: MakeRun, train: Train) -> None:
    """Windows could not rename or remove them meanwhile."""
    folder = make_run("a")
    train(folder, stop_at(5))
    newest = checkpoint.checkpoints(folder.checkpoints)[0]
    inode = (newest / "manifest.json").stat().st_ino
    with folder.lock():
        loop = job.prepare(folder, StopFlag(folder.stop_path), lambda event: None)
        gc.collect()
        assert str(newest) not in Path("/proc/self/maps").read_text()
        loop.stop.request("the test")
        assert loop.run() == "stopped"
    assert (newest / "manifest.json").stat().st_ino == inode  # and what is saved already is not written again


def test_examples_that_do_not_fit_are_counted_and_told(make_run: MakeRun, train: Train) -> None:
    events = train(
        make_run("a", *INSTRUCT, "batch.length=200", "schedule.steps=3", "schedule.warmup_steps=0")
    )
    assert any("examples are left out" in note for note in start_of(events)["notes"])
    with pytest.raises(UsageError, match="No train example fits into"):
        train(make_run("b", *INSTRUCT, "batch.length=64"))


def test_a_text_in_json_may_hold_any_line_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": f"one\u2028two\x85{n}", "label": "x"} for n in range(4)]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    found = load_records(Data(source=str(path)), ("text", "label"))
    assert [r["text"] for r in found["train"] + found["validation"]] == [row["text"] for row in rows]


def test_an_empty_text_is_left_out_and_told(make_run: MakeRun, train: Train, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": "" if n == 3 else f"text {n}", "label": "ab"[n % 2]} for n in range(30)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    settings = ("task=classify", f"data.source={path}", "run.sample_tokens=4", "schedule.steps=3",
                "schedule.warmup_steps=0", "model.tied=false")  # fmt: skip
    folder = make_run("a", *settings)
    events = train(folder)
    assert any("1 texts are left out" in note for note in start_of(events)["notes"])
    assert not any(
        "lm_head" in name for name in state_of(folder)[1]
    )  # a head that is not asked learns nothing


def test_a_manifest_of_another_shape_is_passed_over(make_run: MakeRun, train: Train) -> None:
    folder = make_run("a")
    train(folder)
    newest, before = checkpoint.checkpoints(folder.checkpoints)[:2]
    table = json.loads((newest / "manifest.json").read_text())
    for files in (["state.json"], {"state.json": {}}, {"state.json": 3}):
        forged = {key: value for key, value in table.items() if key != "sha256"} | {"files": files}
        (newest / "manifest.json").write_text(json.dumps({**forged, "sha256": seal._digest(forged)}))
        said: list[str] = []
        loaded = checkpoint.load_newest(folder.checkpoints, said.append)
        assert loaded is not None
        assert loaded.path == before
        assert "damaged" in said[0]


def test_a_members_batch_does_not_depend_on_who_asks(
    small: Callable[..., Config], mine: Callable[[str], Path], make_run: MakeRun, train: Train
) -> None:
    text = (
        "import torch\n\ndef get_batch(data, batch_size, block_size, *, device, generator):\n"
        "    at = torch.randint(len(data) - block_size, (batch_size, 1), generator=generator)\n"
        "    rows = torch.from_numpy(data.astype('int64'))[at + torch.arange(block_size + 1)]\n"
        "    return rows[:, :-1], rows[:, 1:]\n"
    )
    (mine("project3") / "data.py").write_text(text)
    task = job.make_task(small(), Parts({"batches": str(mine("project3"))}), lambda event: None)
    whole = task.batch(0, 8).tensors[0]
    assert torch.equal(whole, torch.cat([task.batch(0, 3).tensors[0], task.batch(3, 5).tensors[0]]))
    assert len(set(map(tuple, whole.tolist()))) == 8


def test_muon_takes_matrices_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []
    for size in (1 << 23, 40):  # all five together, or two at a time
        monkeypatch.setattr(optim, "SLICE", size)
        torch.manual_seed(0)
        matrices = [torch.nn.Parameter(torch.randn(4, 5)) for _ in range(5)]
        muon = optim.Muon(matrices)
        for _ in range(2):
            for matrix in matrices:
                matrix.grad = torch.randn(4, 5)
            muon.step()
        ended.append(torch.stack([matrix.detach() for matrix in matrices]))
    assert torch.allclose(*ended, atol=1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for nvidia-smi")
@pytest.mark.parametrize(("visible", "count"), [(None, 4), ("0", 1), ("1,3", 2), ("", 1)])
def test_as_many_processes_as_gpus_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    small: Callable[..., Config],
    visible: str | None,
    count: int,
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nfor i in 0 1 2 3; do echo GPU $i: some; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert launch.processes_for(small("hardware.device=auto"), 0) == count


@pytest.mark.parametrize(
    ("settings", "says"),
    [(["lora.r=2", "lora.targets=lm_head"], "lora.targets"), (["run.sample_prompt="], "run.sample_prompt")],
)
def test_settings_that_cannot_work_are_refused(
    small: Callable[..., Config], settings: list[str], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        small(*settings)
