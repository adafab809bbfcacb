"""A run becomes a model for the page, or it is said why not: never another model than the run's."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from javascript import page
from networks import logits
from torch import nn

from cohort_cli.catalog import find_project
from cohort_cli.errors import CohortError
from cohort_cli.showcase import browser
from cohort_cli.showcase.quantised import NoDemo, architecture, load
from cohort_cli.tokens import formats
from cohort_cli.training import disk, job, kept, play, seal
from cohort_cli.training.config import load_preset
from cohort_cli.training.data.tokenizer import Characters, HuggingFace, gpt2
from cohort_cli.training.play_client import Process
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import StopFlag

SMALL = (
    "model.n_layers=2", "model.d_model=32", "model.n_heads=2", "model.context=32", "batch.sequences=16",
    "schedule.steps=40", "schedule.warmup_steps=3", "run.eval_every=40", "run.eval_tokens=200",
    "run.checkpoint_every=40", "run.sample_tokens=0", "hardware.threads=1", "hardware.device=cpu",
)  # fmt: skip
NAMES = {browser.MODEL, browser.TOKENIZER, browser.CARD}
NATIVE = {"kit": ("model.recipe=modern", None), "member": ("model.recipe=gpt2", "project2")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunFolder]]:
    """A run of the kit's modern network, and one of Project 2's, which a member writes."""
    place = tmp_path_factory.mktemp("showcase")
    threads, made = torch.get_num_threads(), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHORT_DATA", str(place / "data"))
        for name, (recipe, project) in NATIVE.items():
            parts = {"model": str(find_project(project).reference)} if project else {}
            config = load_preset(preset_path(find_project("project3"), "smoke"), [*SMALL, recipe])
            folder = made[name] = RunFolder.create(place / name, config, project="project3", parts=parts)
            with folder.lock():
                job.prepare(folder, StopFlag(folder.stop_path), lambda event: None).run()
        yield made
    torch.set_num_threads(threads)


@pytest.fixture
def played(runs: dict[str, RunFolder]) -> play.Played:
    return loaded(runs["kit"])


def loaded(folder: RunFolder) -> play.Played:
    return play.load(folder, kept.choose(folder, "newest").path, with_data=True)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refused(played: play.Played, out: Path) -> NoDemo:
    """Why there is no demo; and there is none, not even an old one."""
    out.mkdir(exist_ok=True)
    for name in NAMES:
        (out / name).write_text("of an earlier run")
    with pytest.raises(NoDemo) as no:
        browser.pack(played, out)
    assert names(out) == set()
    return no.value


@pytest.mark.parametrize("whose", NATIVE)
def test_a_trained_model_is_the_same_in_the_page(
    runs: dict[str, RunFolder], whose: str, tmp_path: Path
) -> None:
    played = loaded(runs[whose])
    parity = browser.pack(played, tmp_path)
    assert names(tmp_path) == NAMES
    assert parity.positions >= browser.POSITIONS
    assert parity.float_difference < 1e-4
    assert 0 < parity.int8_difference < 0.2
    assert parity.int8_agreement >= 0.95
    assert parity.int8_loss == pytest.approx(parity.loss, abs=0.01)
    card = json.loads((tmp_path / browser.CARD).read_bytes())
    assert card["schema"] == "cohort.browser-model/1"
    assert card["parity"] == parity._asdict()
    for name, facts in card["files"].items():
        path = tmp_path / name
        assert facts == {"bytes": path.stat().st_size, "sha256": seal.sha256(path)}
    model: Any = load(tmp_path / browser.MODEL)
    prompt = played.task.tokenizer.encode("The string methods")
    expected = model.generate(torch.tensor([prompt]), 200, temperature=0, keep=16)[0, len(prompt) :].tolist()
    text = "".join(played.task.tokenizer.decode(expected))
    with page() as here:
        here.load((tmp_path / browser.MODEL).read_bytes())
        here.run(
            "void (globalThis.it = cohort.tokenizer(text))",
            text=(tmp_path / browser.TOKENIZER).read_text("utf-8"),
        )
        assert here.run("it.vocabSize") == played.task.tokenizer.vocab_size
        options = "{ tokens: 200, temperature: 0, keep: 16 }"
        code = f"Array.from(model.generate(it.encode(prompt), {options}), (step) => step.id)"
        found = here.run(code, prompt="The string methods")
        assert np.mean(np.array(found) == expected) >= 0.95
        assert here.run("it.decode(ids)", ids=expected) == text
        for ids, _ in browser.held_out(played):
            row = ids[0].tolist()
            mine = here.floats("(model.reset(), ids.flatMap((id) => [...model.feed([id])]))", ids=row)
            assert np.abs(mine.reshape(len(row), -1) - logits(model, row).numpy()).max() < 1e-3


def test_as_a_process(runs: dict[str, RunFolder], tmp_path: Path) -> None:
    folder = runs["kit"]
    words = [str(folder.root), str(kept.choose(folder, "newest").path), str(tmp_path / "a" / "entry")]
    with Process("cohort_cli.showcase.browser", words, threads=1) as process:
        assert process.ready["event"] == "result"
        assert process.ready["live"] is True
        assert process.ready["parity"]["int8_agreement"] >= 0.95
    assert names(tmp_path / "a" / "entry") == NAMES


def test_what_the_process_says(
    runs: dict[str, RunFolder],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = runs["kit"]
    path = kept.choose(folder, "newest").path
    no = NoDemo("why", browser.Parity(200, math.inf, 1.0, 0.5, 1.0, math.nan))
    monkeypatch.setattr(browser, "pack", lambda played, out: (_ for _ in ()).throw(no))
    said = browser.answer_of(folder, path, tmp_path)
    assert (said["event"], said["live"], said["reason"]) == ("result", False, "why")
    assert said["parity"]["float_difference"] is None
    assert said["parity"]["int8_loss"] is None
    with pytest.raises(CohortError):
        browser.answer_of(folder, path.with_name("step-00000007"), tmp_path)
    assert browser.main([str(folder.root), str(path.with_name("step-00000007")), str(tmp_path)]) > 0
    assert json.loads(capfd.readouterr().out)["event"] == "error"


def test_a_network_that_computes_something_else_is_refused(played: play.Played, tmp_path: Path) -> None:
    """The same names, the same shapes: only the numbers tell."""
    played.model.register_forward_hook(lambda module, given, made: (made[0] * 0.9, made[1]))
    no = refused(played, tmp_path)
    assert "other logits than the run's, by up to" in no.reason
    assert no.parity.float_difference > browser.FLOAT_TOLERANCE


def test_a_network_that_differs_only_far_behind_is_refused(played: play.Played, tmp_path: Path) -> None:
    """It was trained and is scored on windows of 8 tokens; the page goes on to 32."""
    config = played.config._replace(batch=played.config.batch._replace(length=8))
    short = [
        type(batch)(tuple(t[:, :8] for t in batch.tensors), 0) for batch in played.task.validation()[:40]
    ]
    played.task.validation = lambda: short
    played.model.register_forward_hook(
        lambda module, given, made: (torch.cat([made[0][:, :20], made[0][:, 20:] * 0.5], 1), None)
    )
    assert "other logits" in refused(played._replace(config=config), tmp_path).reason


def test_values_that_are_no_numbers_are_refused(played: play.Played, tmp_path: Path) -> None:
    played.model.register_forward_hook(lambda module, given, made: (made[0] * math.nan, made[1]))
    assert refused(played, tmp_path).parity.float_difference == math.inf
    with torch.no_grad():
        played.model.get_parameter("ln_f.weight")[3] = math.inf
    assert "ln_f.weight has values that are no finite" in refused(played, tmp_path).reason


def test_weights_that_int8_cannot_hold_are_refused(played: play.Played, tmp_path: Path) -> None:
    """One huge weight in each row of the head leaves nothing of the others. In float32 it counts for nothing."""
    model: Any = played.model
    head = model.lm_head.weight.detach().clone()
    head[:, 5] = 1e6
    model.lm_head.weight = nn.Parameter(head)
    with torch.no_grad():
        model.ln_f.weight[5] = 0
    no = refused(played, tmp_path)
    assert "with int8 weights the likeliest token is the same at" in no.reason
    assert no.parity.int8_agreement < browser.LEAST_AGREEMENT


class Renamed(nn.Module):
    """The same network, one floor below."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, ids: torch.Tensor) -> Any:
        return self.inner(ids)


def test_an_architecture_that_the_engine_does_not_know_is_refused(
    played: play.Played, tmp_path: Path
) -> None:
    assert "no wte.weight" in refused(played._replace(model=Renamed(played.model)), tmp_path).reason
    config = played.config
    labels, adapted = config._replace(task="classify"), config._replace(lora=config.lora._replace(r=4))
    assert "labels texts" in refused(played._replace(config=labels), tmp_path).reason
    assert "LoRA" in refused(played._replace(config=adapted), tmp_path).reason
    model: Any = played.model
    model.h[0].gate = nn.Linear(4, 4)
    assert refused(played, tmp_path).reason == "the network has h.0.gate.bias, which the engine does not know"
    del model.h[0].gate
    model.h[1].mlp.c_fc.weight = nn.Parameter(torch.zeros(64, 32))
    assert "no h.1.mlp.c_fc.weight of the shape [128, 32]" in refused(played, tmp_path).reason


def test_text_that_does_not_count_is_no_part_of_the_loss(played: play.Played, tmp_path: Path) -> None:
    """An instruction: what stands in the targets' place is -1, and the ids are filled up behind the end."""
    batches = played.task.validation()[:10]
    whole = browser.pack(played, tmp_path)
    batches = [type(batch)(tuple(tensor.clone() for tensor in batch.tensors), 0) for batch in batches]
    for batch in batches:
        ids, targets = batch.tensors
        targets[:, 20:], ids[:, 21:] = -1, -1
    played.task.validation = lambda: batches
    part = browser.pack(played, tmp_path)
    assert part.positions == whole.positions
    assert part.loss == pytest.approx(whole.loss, rel=0.2)
    for batch in batches:
        batch.tensors[1].fill_(-1)
    assert "no held-out text" in refused(played, tmp_path).reason


def test_a_tied_head_is_known_by_what_it_is_not_by_the_preset(played: play.Played) -> None:
    model: Any = played.model
    assert architecture(played)[0]["tied"] == "yes"
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone())
    flags, tensors = architecture(played)
    assert flags["tied"] == "no"
    assert "lm_head.weight" in tensors


def test_a_full_disk_leaves_nothing(
    played: play.Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = disk.replace_bytes
    for stop in (browser.TOKENIZER, browser.CARD):

        def fails(path: Path, data: bytes, stop: str = stop) -> None:
            if path.name == stop:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(path, data)

        monkeypatch.setattr(disk, "replace_bytes", fails)
        with pytest.raises(CohortError):
            browser.pack(played, tmp_path)
        assert names(tmp_path) == set()


def test_too_large_for_a_page(played: play.Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "LARGEST", 1000)
    assert "bytes; a page holds up to 1,000" in refused(played, tmp_path).reason


def test_tokenizers_that_the_page_follows() -> None:
    assert json.loads(browser.tokenizer_text(Characters("abc")))["alphabet"] == "abc"
    assert len(json.loads(browser.tokenizer_text(gpt2()))["model"]["merges"]) == 50_000
    parts = formats.Parts({byte: bytes([byte]) for byte in range(256)}, [], [], None)
    text = formats.to_huggingface(parts)
    assert browser.tokenizer_text(HuggingFace(text, "mine")) == text
    own = HuggingFace(formats.to_huggingface(parts._replace(pattern=r"\w+|\W+")), "mine")
    with pytest.raises(NoDemo, match="a pattern that the page does not know"):
        browser.tokenizer_text(own)
    table = json.loads(text)
    table["normalizer"] = {"type": "Lowercase"}
    with pytest.raises(NoDemo, match="cannot follow this tokenizer"):
        browser.tokenizer_text(HuggingFace(json.dumps(table), "mine"))
