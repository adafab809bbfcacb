"""Presets are strict: whatever is misspelt, misplaced or impossible is refused, with its line and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cohort_cli.catalog import Project
from cohort_cli.errors import BrokenManifest, CohortError, UsageError
from cohort_cli.training import config, presets
from cohort_cli.training.config import SECTIONS, from_dict, load_preset, to_dict

GOOD = """schema = "cohort.preset/1"
title = "A trial"

[model]
n_layers = 2
d_model = 24
n_heads = 4
context = 16
dropout = 0.1

[batch]
sequences = 12

[schedule]
steps = 100

[lora]
dropout = 0.2
"""


def preset(folder: Path, text: str = GOOD) -> Path:
    path = folder / "trial.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str, *settings: str) -> CohortError:
    with pytest.raises(CohortError) as caught:
        load_preset(preset(folder, text), settings)
    return caught.value


def test_a_preset_is_read_and_its_gaps_are_filled(tmp_path: Path) -> None:
    read = load_preset(preset(tmp_path))
    assert (read.preset, read.title, read.task) == ("trial", "A trial", "pretrain")
    assert (read.model.d_ff, read.batch.length, read.batch.micro_sequences) == (96, 16, 12)
    assert (read.model.positions, read.optimizer.name, read.schedule.shape) == ("learned", "adamw", "cosine")


def test_a_recipe_fills_only_what_is_left_open(tmp_path: Path) -> None:
    read = load_preset(preset(tmp_path), ["model.recipe=modern", "model.activation=gelu"])
    assert (read.model.positions, read.model.activation, read.optimizer.name) == ("rope", "gelu", "muon")


@pytest.mark.parametrize("section", [name for name in SECTIONS if name not in ("lora", "dpo")])
def test_every_section_refuses_a_misspelt_key_with_its_line(tmp_path: Path, section: str) -> None:
    key = SECTIONS[section]._fields[0]
    text = GOOD if f"[{section}]" in GOOD else f"{GOOD}\n[{section}]\n"
    text = text.replace(f"[{section}]\n", f"[{section}]\n{key}x = 1\n")
    line = text.splitlines().index(f"{key}x = 1") + 1
    trouble = refused(tmp_path, text)
    assert trouble.message == f"{tmp_path / 'trial.toml'}:{line}: unknown key '{key}x' in [{section}]."
    assert f"Did you mean {key}" in trouble.repair
    assert trouble.exit_code == 3


@pytest.mark.parametrize(
    ("old", "new", "says", "repair"),
    [
        ("sequences = 12", "sequences = 12\nsteps = 5", "'steps' in [batch]", "steps belongs under [schedule]."),
        ("[schedule]\nsteps", "[shedule]\nsteps", ":14: unknown key 'shedule'", "Did you mean schedule"),
        ("sequences = 12", 'sequences = "12"', ":12: 'sequences' in [batch] must be a whole number", ""),
        ("dropout = 0.2", "dropout = true", ":18: 'dropout' in [lora] must be a number, not True", ""),
        ("steps = 100", "", "'steps' is missing in [schedule]", "Add steps"),
        ('title = "A trial"', "title = 3", ":2: 'title' must be text", ""),
        ("steps = 100", "steps = 0", ":15: schedule.steps is 0; it must be at least 1", "--set schedule.steps"),
        ("dropout = 0.2", "dropout = 1.0", ":18: lora.dropout is 1.0; it must be from 0 to below 1", ""),
        ("dropout = 0.1", "dropout = nan", ":9: model.dropout is nan", ""),
        ("[lora]", "[optimizer]\nlearning_rate = inf\n[lora]", ":18: optimizer.learning_rate is inf", ""),
        ("n_heads = 4", "n_heads = 5", ":7: model.n_heads is 5, which does not divide d_model = 24", ""),
        ("n_heads = 4", 'n_heads = 8\nrecipe = "modern"', "heads of 3 numbers; RoPE turns pairs", ""),
        ("sequences = 12", "sequences = 12\nmicro_sequences = 7", "7, which does not divide batch.sequences = 12", ""),
        ("sequences = 12", "sequences = 12\nlength = 17", ":13: batch.length is 17; model.context is 16", ""),
        ("steps = 100", "steps = 100\nwarmup_steps = 101", "warmup_steps is 101; there are fewer steps", ""),
        ("steps = 100", 'steps = 100\nshape = "cosin"', "is 'cosin'; it must be one of cosine, linear, constant", ""),
        ("[lora]", "[lora", "is not valid TOML", "Repair"),
        ('schema = "cohort.preset/1"', 'schema = "cohort.preset/9"', 'this kit reads "cohort.preset/1"', ""),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path: Path, old: str, new: str, says: str, repair: str) -> None:
    assert old in GOOD
    trouble = refused(tmp_path, GOOD.replace(old, new))
    assert says in trouble.message
    assert repair in trouble.repair
    assert isinstance(trouble, BrokenManifest)


@pytest.mark.parametrize(
    ("setting", "says", "repair"),
    [
        ("schedule.stepss=3", "[schedule] has no key 'stepss'", "Did you mean steps"),
        ("model.steps=3", "[model] has no key 'steps'", "steps belongs under [schedule]."),
        ("scedule.steps=3", "is not SECTION.KEY=VALUE", "Sections: model, data"),
        ("schedule.steps", "is not SECTION.KEY=VALUE", "--set schedule.steps=200"),
        ("schedule.steps=many", "--set schedule.steps must be a whole number, not 'many'", ""),
        ("schedule.steps=0", "--set schedule.steps: is 0; it must be at least 1", ""),
        ("model.recipe=moderne", "--set model.recipe: is 'moderne'; it must be one of gpt2, modern", ""),
        ("model.d_model=25", "With these settings, model.n_heads of trial.toml is 4, which", "--set model.n_heads"),
        ("batch.micro_sequences=5", "--set batch.micro_sequences: is 5, which does not divide", ""),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_a_matter_of_the_command_line(
    tmp_path: Path, setting: str, says: str, repair: str
) -> None:
    trouble = refused(tmp_path, GOOD, setting)
    assert says in trouble.message
    assert repair in trouble.repair
    assert isinstance(trouble, UsageError)


@pytest.mark.parametrize(
    ("setting", "section", "value"),
    [
        ("data.source=12", "data", "12"),
        ("run.sample_prompt=true", "run", "true"),
        ("run.sample_prompt=Once upon", "run", "Once upon"),
        ("optimizer.learning_rate=1", "optimizer", 1.0),
        ("optimizer.learning_rate=3e-3", "optimizer", 3e-3),
        ("lora.targets=c_attn,c_proj", "lora", ("c_attn", "c_proj")),
        ('lora.targets=["c_fc"]', "lora", ("c_fc",)),
        ("hardware.compile=true", "hardware", True),
        ("model.d_ff=33", "model", 33),
    ],
)
def test_a_setting_takes_the_place_of_the_files(
    tmp_path: Path, setting: str, section: str, value: object
) -> None:
    read = load_preset(preset(tmp_path), [setting])
    key = setting.partition("=")[0].partition(".")[2]
    assert getattr(getattr(read, section), key) == value


def test_a_config_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    made = load_preset(preset(tmp_path), ["lora.r=4", "lora.targets=c_fc,c_proj"])
    place = tmp_path / "config.json"
    place.write_text(json.dumps(to_dict(made)), encoding="utf-8")
    assert from_dict(json.loads(place.read_text(encoding="utf-8")), place) == made


def test_a_json_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    table = to_dict(load_preset(preset(tmp_path)))
    table["schedule"]["steps"] = -1
    place = tmp_path / "config.json"
    place.write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(BrokenManifest, match=r"schedule\.steps is -1"):
        from_dict(table, place)


def test_every_number_has_a_limit_and_every_choice_a_key() -> None:
    limited = {key for keys, _, _ in config.LIMITS for key in keys.split()}
    for section, record in SECTIONS.items():
        for key, kind in record.__annotations__.items():
            if kind in ("int", "float"):
                assert f"{section}.{key}" in limited


def test_presets_are_found_by_name_or_as_a_file(adding: Project) -> None:
    jobs = adding.folder / "jobs"
    jobs.mkdir()
    path = preset(jobs)
    assert presets.preset_path(adding, "trial") == path
    assert presets.preset_path(adding, str(path)) == path
    with pytest.raises(UsageError) as caught:
        presets.preset_path(adding, "trail")
    assert caught.value.repair == "Did you mean trial?"
    with pytest.raises(UsageError, match="no file"):
        presets.preset_path(adding, "nowhere.toml")
