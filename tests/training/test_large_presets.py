"""The presets of 1.5 billion parameters: the real network without its memory, and the real code at a tiny width."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from jobs import events_of, start_of, state_of, worker

from cohort_cli.catalog import find_project
from cohort_cli.training import job, plan
from cohort_cli.training.adapters import adapters
from cohort_cli.training.config import load_preset
from cohort_cli.training.models import gpt
from cohort_cli.training.parts import Parts
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

TINY = (
    "model.n_layers=2", "model.d_model=16", "model.n_heads=2", "batch.sequences=4", "batch.micro_sequences=1",
    "schedule.steps=2", "schedule.warmup_steps=1", "run.log_every=1", "run.eval_tokens=200", "run.sample_tokens=0",
    "hardware.device=cpu", "hardware.threads=1",
)  # fmt: skip


def tiny_run(tmp_path: Path, name: str, *settings: str) -> RunFolder:
    """The preset with the same code and the same sharding, and a network of a few thousand parameters."""
    config = load_preset(preset_path(find_project("project3"), name), (*TINY, *settings))
    return RunFolder.create(tmp_path / "runs" / name, config, project="project3")


def test_gpt2_xl_has_its_published_size() -> None:
    config = load_preset(preset_path(find_project("project3"), "gpu8-1.5b"))
    with torch.device("meta"):
        model = gpt.build(config.model, 50_257)
    assert sum(p.numel() for p in model.parameters()) == 1_557_611_200
    assert plan.count_parameters(config.model, 50_257) == 1_557_611_200


def test_two_steps_of_gpt2_xl_sharded_over_two_processes(tmp_path: Path) -> None:
    folder = tiny_run(
        tmp_path,
        "gpu8-1.5b",
        "model.context=32",
        "batch.length=0",
        "data.source=embedded",
        "data.tokenizer=characters",
    )
    config = folder.config()
    assert (config.hardware.parallel, config.hardware.activation_checkpointing) == ("fsdp", True)
    assert config.hardware.precision == "bfloat16"
    done = worker(folder, 2)
    assert done.returncode == 0, done.stderr[-3000:]
    steps = [event for event in events_of(done) if event["event"] == "step"]
    assert [event["step"] for event in steps] == [1, 2]
    files = {path.name for path in (folder.checkpoints / "step-00000002").iterdir()}
    assert len([name for name in files if name.startswith("shard-")]) == 2
    assert state_of(folder)[1]["model:wte.weight"].dtype == torch.float32  # bfloat16 is for products


def test_lora_on_gpt2_xl_has_as_many_parameters_as_it_says() -> None:
    config = load_preset(preset_path(find_project("project3"), "lora-1.5b"))
    with torch.device("meta"):
        model = adapters(config, Parts({}))(gpt.build(config.model, 50_257))
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert learned == plan.trained(config, 50_257) == 48 * 8 * (1600 + 3 * 1600)


@pytest.mark.slow
def test_two_steps_of_lora_with_two_processes(tmp_path: Path) -> None:
    folder = tiny_run(
        tmp_path,
        "lora-1.5b",
        "model.start_from=",
        "model.context=400",
        "batch.length=400",
        "data.tokenizer=characters",
    )
    assert folder.config().lora.r > 0
    done = worker(folder, 2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert folder.read_status().step == 2
    assert all("lora" in name for name in state_of(folder)[1] if name.startswith("model:"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_two_steps_on_a_gpu(tmp_path: Path) -> None:
    folder = tiny_run(tmp_path, "gpu1", "hardware.device=cuda", "model.context=32", "batch.length=0",
                      "data.source=embedded", "data.tokenizer=characters")  # fmt: skip
    done = worker(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert start_of(events_of(done))["device"].startswith("cuda")


def test_the_network_of_every_preset_can_be_built() -> None:
    """On the meta device, which has shapes and no memory; so that no preset waits for a GPU to be found wrong."""
    project = find_project("project3")
    for path in sorted((project.folder / "jobs").glob("*.toml")):
        config = load_preset(path)
        with torch.device("meta"):
            model = gpt.build(config.model, 300)
        assert job.blocks(model), path.name
