"""A trained model at work: the same tokens as in training, every task, a member's network, honest errors."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cohort_cli.errors import CohortError, DataTrouble, UsageError
from cohort_cli.evaluating import perplexity
from cohort_cli.training import kept, play
from cohort_cli.training.checkpoint import DamagedCheckpoint
from cohort_cli.training.config import to_dict
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.tasks import Batch

Train = Callable[..., list[dict[str, Any]]]
MakeRun = Callable[..., RunFolder]
REQUEST = {"prompt": "The ", "tokens": 30, "temperature": 0.8, "top_k": None, "seed": 1, "template": False}
# Project 2's GPT as a member may write it: no cache, no stream, no hidden
GPT = """
import torch
from torch import nn
from dataclasses import dataclass
import torch.nn.functional as F

@dataclass
class GPTConfig:
    vocab_size: int
    n_layers: int
    d_model: int
    n_heads: int
    max_seq_len: int
    dropout: float = 0.0
    bias: bool = True
    d_ff: int | None = None
    norm: str = "layernorm"

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.d_model)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size)
        self.longest = config.max_seq_len

    def forward(self, ids, targets=None):
        print("a print of the member's")
        assert ids.size(1) <= self.longest
        logits = self.lm_head(self.wte(ids))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
"""


def trained(folder: RunFolder, train: Train) -> RunFolder:
    train(folder)
    return folder


def load(folder: RunFolder, *, with_data: bool = False) -> play.Played:
    return play.load(folder, kept.choose(folder, "newest").path, with_data=with_data)


def said(played: play.Played, **changes: Any) -> str:
    events = list(play.answer(played, {**REQUEST, **changes}))
    assert events[-1]["event"] == "done"
    return "".join(event["text"] for event in events if event["event"] == "text")


def scores(folder: RunFolder) -> dict[str, Any]:
    *_, result = perplexity.evaluate(load(folder, with_data=True))
    assert result["event"] == "result"
    return result


def test_it_writes_what_the_training_sampled(make_run: MakeRun, train: Train) -> None:
    folder = trained(make_run("a"), train)
    played = load(folder)
    assert "The " + said(played, tokens=20) == folder.read_samples()[-1]["text"]
    assert said(played) == said(played)
    assert said(played) != said(played, seed=2)
    assert said(played, temperature=0.0, seed=1) == said(played, temperature=0.0, seed=2)
    assert said(played, top_k=1, seed=1) == said(played, top_k=1, seed=2)


def test_the_whole_held_out_text_is_scored_as_in_training(make_run: MakeRun, train: Train) -> None:
    folder = trained(make_run("a", "run.eval_tokens=0"), train)
    last = [row for row in folder.read_metrics() if "validation_loss" in row][-1]
    result = scores(folder)
    assert result["loss"] == pytest.approx(last["validation_loss"], rel=1e-5)
    assert result["bits_per_byte"] == pytest.approx(last["bits_per_byte"], rel=1e-5)
    assert (result["targets"], result["count"]) == (46_512, 2_907)
    assert result["perplexity_error"] == pytest.approx(math.exp(result["loss"]) * result["loss_error"])


def test_a_part_of_the_text_in_training_is_the_whole_here(make_run: MakeRun, train: Train) -> None:
    assert scores(trained(make_run("a"), train))["targets"] == 46_512


@pytest.mark.parametrize(
    ("settings", "units"),
    [
        (("task=classify", "data.source=kit:messages", "model.context=64"), "texts"),
        (("task=instruct", "data.source=kit:instructions", "model.context=400"), "instructions"),
        (("task=dpo", "data.source=kit:preferences", "model.context=400"), "pairs"),
    ],
)
def test_every_task_is_scored_as_in_training_and_answers(
    make_run: MakeRun, train: Train, settings: tuple[str, ...], units: str
) -> None:
    folder = trained(make_run("a", *settings, "schedule.steps=4", "run.eval_every=4", "lora.r=2"), train)
    last = [row for row in folder.read_metrics() if "validation_loss" in row][-1]
    result = scores(folder)
    assert result["units"] == units
    assert result["loss"] == pytest.approx(last["validation_loss"], rel=1e-4)
    if "accuracy" in last:
        assert result["accuracy"] == last["accuracy"]
        share = result["accuracy"]
        assert result["accuracy_error"] == pytest.approx(math.sqrt(share * (1 - share) / result["count"]))
    text = said(load(folder), template=units != "texts", tokens=5)
    if units == "texts":
        shares = [float(word.split()[1]) for word in text.split(", ")]
        assert sum(shares) == pytest.approx(1, abs=0.01)
        assert shares == sorted(shares, reverse=True)


def test_answers_of_an_instructed_model_are_those_of_its_template(make_run: MakeRun, train: Train) -> None:
    settings = ("task=instruct", "data.source=kit:instructions", "model.context=400", "schedule.steps=4")
    folder = trained(make_run("a", *settings), train)
    prompt, text = (folder.read_samples()[-1][key] for key in ("prompt", "text"))
    played = load(folder)
    assert said(played, prompt=prompt, temperature=0.0, tokens=20) == text
    asked = prompt.split("### Instruction:\n")[1].split("\n\n###")[0]
    if "### Input" not in prompt:
        assert said(played, prompt=asked, template=True, temperature=0.0, tokens=20) == text


def test_a_member_s_network_without_a_cache_answers_and_its_prints_do_no_harm(
    make_run: MakeRun, train: Train, mine: Callable[[str], Path]
) -> None:
    from cohort_cli.training.play_client import Player

    model = mine("project2") / "model.py"
    model.write_text(GPT, encoding="utf-8")
    folder = trained(make_run("a", "run.sample_tokens=0", parts={"model": str(model.parent)}), train)
    played = load(folder)
    assert not hasattr(played.model, "stream")
    expected = said(played)
    assert len(expected) == 30, "longer than the context, so that the oldest tokens are left out"
    with Player(folder, kept.choose(folder, "newest")) as player:
        events = list(player.ask(**REQUEST))
    assert "".join(event["text"] for event in events if event["event"] == "text") == expected
    model.write_text(GPT.replace("logits = self", "1 / 0; logits = self"), encoding="utf-8")
    with (
        pytest.raises(CohortError, match=r"Your code raised ZeroDivisionError at model.py:") as trouble,
        Player(folder, kept.choose(folder, "newest")) as player,
    ):
        list(player.ask(**REQUEST))
    assert trouble.value.exit_code == 1


def test_weights_that_are_all_in_the_checkpoint_need_no_starting_point(
    make_run: MakeRun, train: Train
) -> None:
    trained(make_run("base"), train)
    folder = trained(make_run("tuned", "model.start_from=run:base"), train)
    frozen = trained(make_run("frozen", "model.start_from=run:base", "lora.r=2"), train)
    expected, of_frozen = said(load(folder)), said(load(frozen))
    base = folder.root.parent / "base"
    base.rename(base.with_name("gone"))
    assert said(load(frozen)) == of_frozen  # it keeps what it starts from
    for run in (folder, frozen):
        shutil.rmtree(run.root / "start")
    assert said(load(folder)) == expected
    with pytest.raises(DamagedCheckpoint, match="is missing"):
        load(frozen)


def test_a_text_that_is_another_one_now_is_refused(make_run: MakeRun, train: Train, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abc abd " * 400, encoding="utf-8")
    folder = make_run("a")
    config = folder.config()
    folder.change(config._replace(data=config.data._replace(source=str(text))))
    trained(folder, train)
    assert json.loads((folder.root / "config.json").read_bytes())["config"] == to_dict(folder.config())
    assert scores(folder)["count"] > 0
    text.write_text("xyz xyw " * 400, encoding="utf-8")
    with pytest.raises(DataTrouble, match="no longer the text"):
        load(folder, with_data=True)
    assert said(load(folder), prompt="abc")


def test_notes_and_refusals(make_run: MakeRun, train: Train) -> None:
    played = load(trained(make_run("a"), train))
    events = list(play.answer(played, {**REQUEST, "prompt": "a\u4e00\u4e01" + "b" * 30}))
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert notes == [
        "2 characters of the prompt are unknown to the model",
        "the prompt has 33 tokens; the model sees the last 16",
    ]
    for wrong in ({"prompt": ""}, {"temperature": math.nan}, {"temperature": -1.0}):
        with pytest.raises(UsageError):
            list(play.answer(played, {**REQUEST, **wrong}))


class Bytes:
    """A tokenizer of single bytes."""

    vocab_size, end_of_text, unknown = 257, 256, None

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: Any) -> str:
        return bytes(ids).decode("utf-8", "replace")


class Says(torch.nn.Module):
    """Says these tokens, whatever it is asked."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        self.ids = ids

    def stream(self, given: torch.Tensor, tokens: int, *options: Any) -> Any:
        yield from self.ids[:tokens]


@pytest.mark.parametrize(
    ("ids", "pieces"),
    [
        (list("a€b".encode()), ["a", "€", "b"]),
        (list(b"a\xff\xff\xff\xff\xffb"), None),
        ([97, 256, 98], ["a"]),
        (list("a€".encode())[:3], None),
    ],
)
def test_characters_of_several_tokens_come_whole(
    make_run: MakeRun, ids: list[int], pieces: list[str] | None
) -> None:
    config = make_run("a").config()
    task = type("Task", (), {"tokenizer": Bytes()})()
    played = play.Played(Says(ids), task, config, 1, torch.device("cpu"))
    events = list(play.answer(played, REQUEST))
    found = [event["text"] for event in events if event["event"] == "text"]
    assert "".join(found) == bytes(ids[: ids.index(256) if 256 in ids else None]).decode("utf-8", "replace")
    if pieces is not None:
        assert found == pieces
    assert events[-1]["ended"] == ("end of text" if 256 in ids else "length")


def test_units_are_rows_and_pairs() -> None:
    rows = torch.tensor([[1, -1], [2, 3], [4, 5], [6, 7]])
    batch = Batch((rows, rows), 7)
    assert [unit.counted for unit in perplexity.split(batch, "instruct")] == [1, 2, 2, 2]
    assert [unit.tensors[0].tolist() for unit in perplexity.split(batch, "dpo")] == [
        [[1, -1], [4, 5]],
        [[2, 3], [6, 7]],
    ]
