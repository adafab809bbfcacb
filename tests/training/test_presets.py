"""Every preset of the kit loads, says where its numbers come from, and fits the machine that it names."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import pytest

from cohort_cli.catalog import find_project
from cohort_cli.training import corpus, launch, machines, memory, plan
from cohort_cli.training.config import SECTIONS, Config, load_preset
from cohort_cli.training.presets import presets
from cohort_cli.training.runs import RunFolder

PROJECT = find_project("project3")
PRESETS = presets(PROJECT)
GPT2 = presets(find_project("project4"))
EVERY = [*PRESETS.values(), *GPT2.values()]


def which(path: Path) -> str:
    return f"{path.parent.parent.name}-{path.stem}"


# The smallest machine that a preset's comment promises: a key of gpus.GPUS, and how many.
PROMISED = {"gpu1": ("t4", 1), "gpu8-1.5b": ("a100-40", 8), "lora-1.5b": ("l4", 1), "instruct": ("t4", 1)}
SETS = ("kit:messages", "kit:instructions", "kit:preferences")


@pytest.fixture
def read() -> dict[str, Config]:
    return {name: load_preset(path) for name, path in PRESETS.items()}


def test_the_presets_that_the_guides_name_are_there() -> None:
    names = {"smoke", "laptop", "gpu1", "gpu8-1.5b", "lora-1.5b", "spam", "instruct", "dpo"}
    assert names | {"spam-smoke", "instruct-smoke", "dpo-smoke"} == set(PRESETS)


def test_project_4_has_the_published_recipe() -> None:
    """Ten billion tokens in steps of 2^19, 375 million of them warm-up: build-nanogpt's train_gpt2.py."""
    assert set(GPT2) == {"smoke", "laptop", "gpu1-124m", "gpu8-124m-10b"}
    read = {name: load_preset(path) for name, path in GPT2.items()}
    for name in ("gpu1-124m", "gpu8-124m-10b"):
        config = read[name]
        assert plan.count_parameters(config.model, 50_257) == 124_439_808
        assert config.batch.sequences * config.batch.length == 2**19
        given = config.optimizer
        assert (given.learning_rate, given.weight_decay, given.beta1, given.beta2) == (6e-4, 0.1, 0.9, 0.95)
        assert (given.clip_norm, config.schedule.shape, config.schedule.final_share) == (1.0, "cosine", 0.1)
    whole = read["gpu8-124m-10b"].schedule
    assert (whole.steps, whole.warmup_steps) == (10**10 // 2**19, 375 * 10**6 // 2**19)
    assert read["gpu8-124m-10b"].batch.micro_sequences * 8 == 512
    for config in read.values():
        assert config.model.recipe == "gpt2"  # what a member's own GPT of Project 4 can be


@pytest.mark.parametrize("path", EVERY, ids=which)
def test_a_preset_explains_itself_before_its_first_key(path: Path) -> None:
    name, comment = path.stem, path.read_text(encoding="utf-8").partition("schema =")[0]
    assert len(comment.split()) > 25
    assert all(line.startswith("#") for line in comment.strip().splitlines())
    if not name.endswith("smoke"):
        assert re.search(r"https://\S+", comment), "where do the numbers come from?"


@pytest.mark.parametrize("path", EVERY, ids=which)
def test_a_preset_has_nothing_that_is_not_read(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        assert re.match(r"(#.*|\[(\w+)\].*|\w+ = .*|)$", line), line
        if heading := re.match(r"\[(\w+)\]", line):
            assert heading[1] in SECTIONS


@pytest.mark.parametrize("name", PROMISED)
def test_a_preset_fits_the_smallest_gpu_that_it_names(read: dict[str, Config], name: str) -> None:
    gpu, count = PROMISED[name]
    comment = PRESETS[name].read_text(encoding="utf-8").partition("schema =")[0]
    machine = machines.machine_for(read[name], gpu, count)
    machine = machine._replace(bfloat16=True)  # as a GPU of that size with bf16 units
    assert f"{machine.memory / 1e9:.0f} GB" in comment
    vocab_size, _ = plan.vocabulary(read[name])
    assert memory.total(read[name], vocab_size, machine) <= machine.memory


def test_the_shapes_are_those_of_gpt2(read: dict[str, Config]) -> None:
    sizes = {"gpu1": 124_439_808, "gpu8-1.5b": 1_557_611_200, "lora-1.5b": 1_557_611_200, "spam": 124_439_808,
             "instruct": 354_823_168, "dpo": 354_823_168}  # fmt: skip
    for name, expected in sizes.items():
        model = read[name].model
        assert plan.count_parameters(model, 50_257) == expected
        assert model.d_model // model.n_heads == 64


def test_pretraining_presets_read_twenty_tokens_per_parameter(read: dict[str, Config]) -> None:
    for name in ("gpu1", "gpu8-1.5b"):
        made = plan.make(read[name], machines.machine_for(read[name]))
        assert made.tokens / made.parameters.total == pytest.approx(20, rel=0.01)
        assert not made.notes


def test_fine_tuning_presets_read_the_kits_own_sets(read: dict[str, Config]) -> None:
    tasks = {"classify": SETS[0], "instruct": SETS[1], "dpo": SETS[2]}
    tuned = {name: config for name, config in read.items() if config.task != "pretrain"}
    assert len(tuned) == 7
    for config in tuned.values():
        assert config.data.source == tasks[config.task]
        assert (PROJECT.folder / "data" / f"{config.data.source[4:]}.jsonl").is_file()


def test_what_a_comment_says_of_epochs_is_what_the_steps_do(read: dict[str, Config]) -> None:
    for name, path in PRESETS.items():
        text = path.read_text(encoding="utf-8")
        if said := re.search(r"steps = \d+ +# (\d+) x (\d+) = (\d+) x (\d+)", text):
            sequences, steps, epochs, examples = map(int, said.groups())
            config = read[name]
            assert (config.batch.sequences, config.schedule.steps) == (sequences, steps)
            lines = (PROJECT.folder / "data" / f"{config.data.source[4:]}.jsonl").read_text(encoding="utf-8")
            assert lines.count('"split": "train"') == examples
            assert sequences * steps == pytest.approx(epochs * examples, rel=0.03)


def test_smoke_presets_ask_for_nothing_that_is_not_there(read: dict[str, Config]) -> None:
    smoke = [config for name, config in read.items() if name.endswith("smoke")]
    assert len(smoke) == 4
    for config in smoke:
        assert config.data.tokenizer == "characters"
        assert not config.model.start_from
        assert config.data.source == "embedded" or config.data.source.startswith("kit:")
        assert config.hardware.device == "auto"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("smoke")])
def test_a_smoke_preset_learns_something(read: dict[str, Config], name: str, tmp_path: Path) -> None:
    """Clearly, and as a real process. How long it takes is the business of benchmarks."""
    config = read[name]._replace(
        hardware=read[name].hardware._replace(threads=1)
    )  # steady on a busy computer
    folder = RunFolder.create(tmp_path / name, config, project="project3")
    subprocess.run(
        launch.command(folder, 1), env=launch.environment(1), check=True, stdout=subprocess.DEVNULL
    )
    assert folder.read_status().state == "done"
    rows = [row for row in folder.read_metrics() if "validation_loss" in row]
    first, last = rows[0], rows[-1]
    assert last["step"] == read[name].schedule.steps
    if name == "smoke":
        assert last["validation_loss"] < corpus.bigram_loss(*corpus.split(corpus.load())) - 0.5
    elif name == "spam-smoke":
        assert last["accuracy"] > last["chance"] + 0.15
    elif name == "dpo-smoke":
        assert first["validation_loss"] == pytest.approx(math.log(2), abs=1e-4)
        assert last["validation_loss"] < first["validation_loss"] - 0.03
    else:
        assert last["validation_loss"] < first["validation_loss"] - 1.5


def test_every_jobs_file_is_a_preset() -> None:
    assert {path.suffix for path in (PROJECT.folder / "jobs").iterdir()} == {".toml"}
    assert all(isinstance(path, Path) for path in PRESETS.values())
