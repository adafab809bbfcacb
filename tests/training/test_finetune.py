"""Fine-tuning: what is counted, what learns, and where the weights come from."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jobs import assert_same, events_of, rows_of, state_of, stop_at, worker

from cohort_cli.catalog import find_project
from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.training import start
from cohort_cli.training.config import Config, Data
from cohort_cli.training.finetune.common import Order
from cohort_cli.training.finetune.records import kit_sets, load_records
from cohort_cli.training.parts import Parts
from cohort_cli.training.runs import RunFolder

Train = Callable[..., list[dict[str, Any]]]
MakeRun = Callable[..., RunFolder]

LONG = ("model.context=400", "batch.length=0", "schedule.steps=4", "run.eval_every=4", "run.sample_tokens=4")
TASKS = {
    "classify": ("task=classify", "data.source=kit:messages", *LONG),
    "instruct": ("task=instruct", "data.source=kit:instructions", *LONG),
    "dpo": ("task=dpo", "data.source=kit:preferences", *LONG),
}
LORA = ("lora.r=2", "lora.alpha=4.0", 'lora.targets=["c_attn"]')


def test_the_order_shows_each_example_once_per_epoch() -> None:
    order = Order(7, seed=3)
    epochs = [[order[n] for n in range(first, first + 7)] for first in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert [Order(7, seed=3)[n] for n in range(14, 21)] == epochs[2]  # whatever was asked for before
    assert [Order(7, seed=4)[n] for n in range(7)] != epochs[0]


@pytest.mark.parametrize("task", TASKS)
def test_a_stopped_run_ends_like_an_uninterrupted_one(make_run: MakeRun, train: Train, task: str) -> None:
    whole, parts = make_run("whole", *TASKS[task]), make_run("parts", *TASKS[task])
    train(whole)
    train(parts, stop_at(2))
    train(parts)
    assert_same(whole, parts)


@pytest.mark.parametrize("task", TASKS)
def test_micro_batches_add_up_although_their_answers_differ_in_length(
    make_run: MakeRun, train: Train, task: str
) -> None:
    one = make_run(
        "one", *TASKS[task], "batch.micro_sequences=8", "schedule.steps=2", "schedule.warmup_steps=0"
    )
    four = make_run(
        "four", *TASKS[task], "batch.micro_sequences=2", "schedule.steps=2", "schedule.warmup_steps=0"
    )
    train(one)
    train(four)
    for a, b in zip(rows_of(one), rows_of(four), strict=True):
        for key in a.keys() & {"loss", "grad_norm"}:
            assert a[key] == pytest.approx(b[key], rel=1e-4), (key, a["step"])


def test_dpo_starts_at_ln_2_and_moves_away_from_a_reference_that_stays(
    make_run: MakeRun, train: Train
) -> None:
    folder = make_run("a", *TASKS["dpo"], "schedule.steps=8", "optimizer.learning_rate=0.01")
    events = train(folder)
    losses = [event["validation_loss"] for event in events if event["event"] == "eval"]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert losses[-1] < math.log(2) - 1e-3
    # Started again at the end, the reference is the same: the loss of the last step is measured again.
    (folder.root / "metrics.jsonl").write_text("")
    again = [event["validation_loss"] for event in train(folder) if event["event"] == "eval"]
    assert again == losses[-1:]


@pytest.mark.parametrize("own", [False, True], ids=["peft", "reference"])
@pytest.mark.parametrize("task", ["instruct", "dpo"])
def test_lora_trains_adapters_alone(make_run: MakeRun, train: Train, task: str, own: bool) -> None:
    """At step 0 the model is the base; afterwards only the adapters have moved, and only they are saved."""
    base = make_run("base", "model.context=400", "schedule.steps=4", "run.eval_every=4")
    train(base)
    reference = str(find_project("project3").reference)
    settings = (*TASKS[task], "model.start_from=run:base")
    full = make_run("full", *settings)
    lora = make_run("lora", *settings, *LORA, parts={"lora": reference} if own else None)
    first = [next(e for e in train(run) if e["event"] == "eval")["validation_loss"] for run in (full, lora)]
    assert first[0] == pytest.approx(first[1], abs=1e-6)
    saved = state_of(lora)[1]
    adapters = {name for name in saved if name.startswith("model:")}
    assert len(adapters) == 2 * 2  # A and B, in two blocks
    assert all("lora" in name.lower() or name.endswith((".A", ".B")) for name in adapters)
    assert sum(saved[name].numel() for name in adapters) == 2 * 2 * (16 + 3 * 16)


def test_a_run_starts_from_the_weights_and_words_of_another(make_run: MakeRun, train: Train) -> None:
    """The same task from a run's best checkpoint: the first loss is that run's last one."""
    base = make_run("base", "schedule.steps=8", "run.eval_every=8")
    last = [event for event in train(base) if event["event"] == "eval"][-1]
    more = make_run("more", "model.start_from=run:base")
    first = next(event for event in train(more) if event["event"] == "eval")
    assert first["validation_loss"] == last["validation_loss"]
    assert (more.root / "tokenizer.json").read_text() == (base.root / "tokenizer.json").read_text()


def test_the_shape_comes_from_the_run_it_starts_from(
    make_run: MakeRun, train: Train, small: Callable[..., Config]
) -> None:
    train(make_run("base", "model.d_model=24", "model.n_layers=1", "schedule.steps=3"))
    config = start.adopt(small("model.start_from=run:base"))
    assert (config.model.d_model, config.model.n_layers, config.model.start_from) == (24, 1, "run:base")
    with pytest.raises(BrokenManifest, match=r"is \[.*24\] there and \[.*16\] here"):
        train(make_run("other", "model.start_from=run:base", "model.n_layers=1"))


def test_only_the_last_block_learns(make_run: MakeRun, train: Train) -> None:
    base = make_run("base", "model.context=400", "schedule.steps=3")
    train(base)
    folder = make_run("a", *TASKS["classify"], "model.start_from=run:base", "model.train_blocks=1")
    train(folder)
    learned = {name for name in state_of(folder)[1] if name.startswith("model:")}
    assert any(".h.1." in name for name in learned)
    assert any("head" in name for name in learned)
    assert not any(".h.0." in name or "wte" in name for name in learned)


def test_a_part_is_taken_from_its_own_folder(
    mine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders have files of the same names; each file imports its neighbours, not its namesakes."""
    for project, file in (("project2", "model.py"), ("project3", "loop.py")):
        (mine(project) / "helper.py").write_text(f"VALUE = {project!r}\n")
        text = "import helper\n\ndef GPT():\n    return helper.VALUE\n\nclip_grad_norm = GPT\n"
        (mine(project) / file).write_text(text)
    monkeypatch.setitem(sys.modules, "helper", types.ModuleType("helper"))  # somebody else's, imported before
    parts = Parts({"model": str(mine("project2")), "clip": str(mine("project3"))})
    assert parts.take("model", "GPT")() == "project2"
    assert parts.take("clip", "clip_grad_norm")() == "project3"
    assert parts.take("rate", "lr_at") is None


def test_a_run_of_somebody_else_cannot_name_code_to_run(mine: Callable[[str], Path], tmp_path: Path) -> None:
    trap, sprung = tmp_path / "trap" / mine("project3").name, tmp_path / "sprung"
    trap.mkdir(parents=True)
    (tmp_path / "trap" / "cohort.toml").write_text('schema = "cohort.workspace/1"\nkit = "0"\n')
    (trap / "loop.py").write_text(f"open({str(sprung)!r}, 'w')\n")
    with pytest.raises(UsageError, match="no project of this workspace"):
        Parts({"clip": str(trap)})
    with pytest.raises(UsageError, match="comes from"):
        Parts({"nonsense": str(mine("project3"))})
    assert not sprung.exists()


def test_an_error_in_a_members_part_names_its_line(make_run: MakeRun, mine: Callable[[str], Path]) -> None:
    text = "def clip_grad_norm(parameters, max_norm):\n    return 1 / 0\n"
    (mine("project3") / "loop.py").write_text(text, encoding="utf-8")
    done = worker(make_run("a", parts={"clip": str(mine("project3"))}))
    assert done.returncode == 1
    end = events_of(done)[-1]
    assert end["state"] == "failed"
    assert "ZeroDivisionError at loop.py:2" in end["message"]


@pytest.mark.parametrize("name", ["messages", "instructions", "preferences"])
def test_the_kits_sets_are_there(name: str) -> None:
    assert name in kit_sets()


def test_a_set_that_does_not_fit_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    fields = ("text", "label")
    cases = {
        '{"text": "a", "label": "x"}\n{"text": "b"}\n': "line 2: the field 'label' is missing",
        '{"text": "a", "label": "x"}\nnonsense\n': "line 2 is no JSON",
        '{"text": "a", "label": "x", "split": "tset"}\n': "the split is 'tset'",
        "": "no examples to train on",
    }
    for content, says in cases.items():
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match=says):
            load_records(Data(source=str(path)), fields)
    with pytest.raises(UsageError, match="no such file"):
        load_records(Data(source=str(tmp_path / "none.jsonl")), fields)
    with pytest.raises(UsageError, match="no set 'messagse'"):
        load_records(Data(source="kit:messagse"), fields)


def test_without_splits_the_last_lines_are_held_out(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text("".join(f'{{"text": "{n}", "label": "x"}}\n' for n in range(10)), encoding="utf-8")
    splits = load_records(Data(source=str(path), validation_share=0.25), ("text", "label"))
    assert [record["text"] for record in splits["validation"]] == ["7", "8", "9"]
    assert len(splits["train"]) == 7


def test_the_best_checkpoint_is_the_one_that_others_start_from(make_run: MakeRun, train: Train) -> None:
    base = make_run("base", "run.eval_every=4", "run.checkpoint_every=4", "schedule.steps=12")
    train(base)
    losses = {row["step"]: row["validation_loss"] for row in base.read_metrics() if "validation_loss" in row}
    best = min((step for step in losses if step), key=lambda step: losses[step])
    loaded = start.load_checkpoint("run:base")
    assert loaded.step == best
    assert all(torch.isfinite(tensor).all() for tensor in loaded.tensors["model"].values())
