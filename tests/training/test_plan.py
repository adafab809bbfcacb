"""A plan's numbers against the real model, published runs, and the memory of real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.errors import UsageError
from cohort_cli.training import counting, fitting, gpus, launch, machines, memory, plan
from cohort_cli.training.config import Config, Hardware, load_preset, resolve
from cohort_cli.training.machines import Machine, machine_for, utilisation_of
from cohort_cli.training.runs import RunFolder

PRESET = """schema = "cohort.preset/1"
[model]
n_layers = 12
d_model = 768
n_heads = 12
context = 1024
[data]
source = "fineweb-edu"
tokenizer = "gpt2"
[batch]
sequences = 512
micro_sequences = 16
[schedule]
steps = 100
[hardware]
device = "cuda"
"""
GPT2 = {  # the sizes that OpenAI's weights have, as transformers counts them
    (12, 768, 12): 124_439_808,
    (24, 1024, 16): 354_823_168,
    (36, 1280, 20): 774_030_080,
    (48, 1600, 25): 1_557_611_200,
}
XL = ("model.n_layers=48", "model.d_model=1600", "model.n_heads=25")


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Config]:
    """job("model.n_layers=3") is GPT-2 small on FineWeb-Edu with that change."""
    path = tmp_path / "trial.toml"
    path.write_text(PRESET, encoding="utf-8")
    return lambda *settings: load_preset(path, settings)


def parts_of(config: Config, machine: Machine) -> dict[str, float]:
    vocab_size, _ = plan.vocabulary(config)
    return {part.name: part.bytes for part in memory.parts(config, vocab_size, machine)}


# --- parameters and FLOPs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", GPT2)
def test_the_sizes_of_gpt2(job: Callable[..., Config], shape: tuple[int, int, int]) -> None:
    layers, width, heads = shape
    model = job(f"model.n_layers={layers}", f"model.d_model={width}", f"model.n_heads={heads}").model
    assert plan.count_parameters(model, 50_257) == GPT2[shape]


SWITCHES = {
    "recipe": ["gpt2", "modern"],
    "tied": ["true", "false"],
    "bias": ["true", "false"],
    "norm": ["auto", "rmsnorm"],
    "d_ff": ["0", "40"],
}


def test_parameters_are_those_of_the_real_model_for_every_switch(job: Callable[..., Config]) -> None:
    torch = pytest.importorskip("torch")
    from cohort_cli.training.models import gpt

    small = ("model.n_layers=3", "model.d_model=24", "model.n_heads=3", "model.context=10")
    for values in product(*SWITCHES.values()):
        settings = [f"model.{key}={value}" for key, value in zip(SWITCHES, values, strict=True)]
        model = job(*small, *settings, "batch.length=10").model
        with torch.device("meta"):
            real = gpt.build(model, 77)
        assert plan.count_parameters(model, 77) == sum(p.numel() for p in real.parameters()), settings


def test_a_padded_vocabulary_is_counted_as_padded(job: Callable[..., Config]) -> None:
    assert plan.vocabulary(job("model.padded_to=128"))[0] == 50_304
    assert plan.vocabulary(job("model.vocab_size=1000", "model.padded_to=64"))[0] == 1024
    assert plan.vocabulary(job())[0] == 50_257


def test_flops_are_the_usual_count(job: Callable[..., Config]) -> None:
    assert counting.flops_per_token(job().model, 50_257, 1024) == pytest.approx(0.860e9, rel=1e-3)
    assert counting.flops_per_token(job(*XL).model, 50_257, 1024) == pytest.approx(10.29e9, rel=1e-3)
    tied, untied = job(), job("model.tied=false")  # what is looked up costs nothing, what is multiplied does
    assert counting.flops_per_token(tied.model, 50_257, 1024) == counting.flops_per_token(
        untied.model, 50_257, 1024
    )


def test_flops_are_those_that_torch_counts(job: Callable[..., Config]) -> None:
    """Of the matrix products in a forward pass, three times. Positions and norms are no products."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from cohort_cli.training.models import gpt

    model = job("model.n_layers=2", "model.d_model=64", "model.n_heads=4", "model.context=48", "batch.length=48",
                "model.bias=false").model  # fmt: skip
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        logits, _ = gpt.build(model, 100)(torch.zeros(1, 48, dtype=torch.int64))
    assert logits.shape == (1, 48, 100)
    sizes = counting.parameters(model, 100)
    vectors = sizes.positions + 5 * sizes.last_norm
    usual = counting.flops_per_token(model, 100, 48)
    assert 3 * counter.get_total_flops() / 48 == pytest.approx(usual - 6 * vectors, rel=1e-6)


def test_lora_adds_few_parameters_and_saves_a_third_of_the_products(job: Callable[..., Config]) -> None:
    whole = job(*XL)
    lora = job(*XL, "lora.r=8", "task=instruct")
    assert counting.trained(lora, 50_257) == 2_457_600
    share = counting.step_flops_per_token(lora, 50_257) / counting.step_flops_per_token(whole, 50_257)
    assert share == pytest.approx(0.70, abs=0.005)


def test_adapters_are_as_many_as_peft_makes(job: Callable[..., Config]) -> None:
    pytest.importorskip("peft")
    from cohort_cli.training.adapters import adapters
    from cohort_cli.training.models import gpt
    from cohort_cli.training.parts import Parts

    config = job("model.n_layers=3", "model.d_model=24", "model.n_heads=3", "lora.r=5",
                 "lora.targets=c_attn,c_proj,c_fc", "task=instruct")  # fmt: skip
    model = adapters(config, Parts({}))(gpt.build(config.model, 50))
    real = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert counting.trained(config, 50) == real


def test_frozen_blocks_are_neither_trained_nor_passed_on_the_way_back(job: Callable[..., Config]) -> None:
    pytest.importorskip("torch")
    from cohort_cli.training.finetune.common import train_last_blocks
    from cohort_cli.training.models import gpt

    config = job(
        "model.n_layers=4", "model.d_model=24", "model.n_heads=3", "model.train_blocks=2", "task=classify"
    )
    real = gpt.build(config.model, 50)
    train_last_blocks(real, 2)
    assert counting.trained(config, 50) == sum(p.numel() for p in real.parameters() if p.requires_grad)
    whole = counting.flops_per_token(config.model, 50, 1024)
    assert counting.step_flops_per_token(config, 50) == pytest.approx(whole * (1 + 2 / 2) / 3)


def test_published_runs_come_to_what_they_say() -> None:
    """nanoGPT and llm.c report about 0.29, 0.49 and 0.60 themselves."""
    shares = [utilisation_of(run) for run in gpus.PUBLISHED]
    assert shares == pytest.approx([0.294, 0.487, 0.603], abs=0.005)
    assert min(shares) < gpus.UTILISATION < max(shares)
    assert all(run.source.startswith("https://") for run in gpus.PUBLISHED)


def test_llmc_s_day_on_eight_h100(job: Callable[..., Config]) -> None:
    """At its own utilisation, our hours are the 24 that it took: 32,000 steps of 1,048,576 tokens."""
    config = job(
        *XL, "batch.sequences=1024", "schedule.steps=32000", "hardware.parallel=fsdp", "run.eval_tokens=1"
    )
    made = plan.make(config, machine_for(config, "h100", 8, 0.487), price=3.5)
    assert made.seconds / 3600 == pytest.approx(24.9, abs=0.3)
    assert made.cost == pytest.approx(24.9 * 8 * 3.5, rel=0.02)
    assert made.tokens_per_second == pytest.approx(374e3, rel=0.01)


def test_every_gpu_has_a_source_and_a_sane_peak() -> None:
    for gpu in gpus.GPUS.values():
        assert gpu.source.startswith("https://")
        assert 16e9 <= gpu.memory <= 288e9
        assert (gpu.flops > 60e12) == gpu.bf16


# --- memory on GPUs ------------------------------------------------------------------------------------------


def test_the_state_of_gpt2_xl(job: Callable[..., Config]) -> None:
    parts = parts_of(job(*XL), machine_for(job(*XL), "h100", 1))
    assert (parts["weights"] + parts["gradients"] + parts["optimizer"]) / 1e9 == pytest.approx(
        24.92, abs=0.01
    )
    assert parts["bfloat16 copy"] / 1e9 == pytest.approx(3.12, abs=0.01)
    sharded = job(*XL, "hardware.parallel=fsdp", "batch.sequences=128")
    parts = parts_of(sharded, machine_for(sharded, "h100", 8))
    assert (parts["weights"] + parts["gradients"] + parts["optimizer"]) / 1e9 == pytest.approx(
        24.92 / 8, abs=0.01
    )
    assert "whole gradients" not in parts, "128 sequences are one pass of 16 for each of 8"


def test_activations_are_36_or_32_bytes_per_token_layer_and_width(job: Callable[..., Config]) -> None:
    alone = machine_for(job(), "h100", 1)
    per = parts_of(job(), alone)["activations"] / (16 * 1024 * 12 * 768)
    assert per == pytest.approx(36, abs=1)
    sharded = job("hardware.parallel=fsdp")
    per = parts_of(sharded, machine_for(sharded, "h100", 8))["activations"] / (16 * 1024 * 12 * 768)
    assert per == pytest.approx(32, abs=1)


def test_the_plan_counts_as_many_rows_of_logits_as_the_loss_holds() -> None:
    from cohort_cli.training.models import loss

    assert memory.ROWS == loss.ROWS


def test_whole_logits_would_take_10_bytes_per_token_and_entry(job: Callable[..., Config]) -> None:
    machine = machine_for(job(), "h100", 1)
    whole = memory.unchunked_logits_bytes(job(), 50_257, machine)
    assert whole == 10 * 16 * 1024 * 50_257
    assert memory.logits_bytes(job(), 50_257, machine) < whole / 10


def test_muon_remembers_half_as_much_of_matrices_in_blocks(job: Callable[..., Config]) -> None:
    torch = pytest.importorskip("torch")
    from cohort_cli.training.models import gpt
    from cohort_cli.training.optim import build_optimizers

    for name in ("muon", "adamw"):
        config = job("model.n_layers=2", "model.d_model=24", "model.n_heads=3", f"optimizer.name={name}")
        model = gpt.build(config.model, 50)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizers = build_optimizers(model, config.optimizer)
        for optimizer in optimizers:
            optimizer.step()
        kept = sum(
            value.nbytes
            for optimizer in optimizers
            for state in optimizer.state.values()
            for value in state.values()
            if isinstance(value, torch.Tensor) and value.dim()
        )
        assert memory.optimizer_bytes(config, 50) == kept


@pytest.mark.parametrize("settings", [(), XL, (*XL, "hardware.activation_checkpointing=true")])
@pytest.mark.parametrize("gpu", ["l4", "h100", "b200"])
def test_the_largest_micro_batch_fits_and_the_next_does_not(
    job: Callable[..., Config], settings: tuple[str, ...], gpu: str
) -> None:
    config = job(*settings)
    machine = machine_for(config, gpu, 1)
    best = fitting.largest_micro_batch(config, 50_257, machine)
    fits = {
        n: memory.total(fitting.with_micro(config, n), 50_257, machine) <= machine.memory
        for n in (2**k for k in range(10))
    }
    assert best == max((n for n, ok in fits.items() if ok), default=0)


TOO_LARGE = [
    ("l4", 1, ("batch.micro_sequences=512",)),
    ("l4", 1, XL),
    ("a100", 1, (*XL, "batch.micro_sequences=64")),
    ("l4", 4, XL),
    ("t4", 1, (*XL, "task=instruct", "model.start_from=hf:gpt2-xl", "data.source=kit:instructions")),
    ("h100", 8, (*XL, "hardware.parallel=fsdp", "batch.micro_sequences=64")),
]


@pytest.mark.parametrize(("gpu", "count", "settings"), TOO_LARGE)
def test_each_advice_makes_the_job_fit(
    job: Callable[..., Config], gpu: str, count: int, settings: tuple[str, ...]
) -> None:
    made = plan.make(job(*settings), machine_for(job(*settings), gpu, count))
    assert not made.fits
    assert made.advice
    for advice in made.advice:
        words = advice.words.split()
        given = dict(zip(words[::2], words[1::2], strict=True))
        more = [value for word, value in zip(words[::2], words[1::2], strict=True) if word == "--set"]
        config = job(*settings, *more)
        if "--set lora.r=8" in advice.words:
            config = fitting.with_micro(
                config, max(1, fitting.largest_micro_batch(config, 50_257, made.machine))
            )
        machine = machine_for(config, given.get("--gpu", gpu), int(given.get("--gpus", count)))
        assert plan.make(config, machine).fits, advice


def test_what_fits_needs_no_advice(job: Callable[..., Config]) -> None:
    made = plan.make(job(), machine_for(job(), "h100", 1))
    assert made.fits
    assert made.advice == ()


def test_checkpointing_saves_memory_and_costs_time(job: Callable[..., Config]) -> None:
    machine = machine_for(job(*XL), "h100", 1)
    whole, lean = job(*XL), job(*XL, "hardware.activation_checkpointing=true")
    assert parts_of(lean, machine)["activations"] < parts_of(whole, machine)["activations"] / 6
    ratio = plan.make(lean, machine).seconds / plan.make(whole, machine).seconds
    assert 1.25 < ratio < 4 / 3  # the blocks' forward pass once more; the head's is not repeated


# --- what depends on the machine and the data -----------------------------------------------------------------


def test_machines(job: Callable[..., Config]) -> None:
    assert machine_for(job()).name == "H100 SXM"
    assert machine_for(job("hardware.parallel=fsdp")).devices == 8
    assert machine_for(job("hardware.device=auto")).gpu is None
    assert machine_for(job(), "l4", 4).parallel == "ddp"
    assert not machine_for(job(), "t4").bfloat16
    assert not machine_for(job("hardware.precision=float32"), "h100").bfloat16
    with pytest.raises(UsageError, match="H1000"):
        machine_for(job(), "H1000")
    with pytest.raises(UsageError, match="7 devices cannot share evenly"):
        machine_for(job(), "h100", 7)


def test_tokens_and_checkpoints_on_the_disk(job: Callable[..., Config]) -> None:
    machine = machine_for(job(), "h100", 1)
    made = plan.make(job("schedule.steps=40000"), machine)
    assert made.token_bytes == 20e9, "the sample has ten billion tokens, however often they are read"
    assert plan.make(job("data.max_tokens=1000000"), machine).token_bytes == 2e6
    assert made.checkpoint_bytes == 12 * 124_439_808
    wide = job("model.vocab_size=100000", "data.max_tokens=1000000")
    assert plan.make(wide, machine).token_bytes == 4e6


def test_the_embedded_text_is_counted_exactly(job: Callable[..., Config]) -> None:
    from cohort_cli.training import corpus

    config = job("data.source=embedded", "data.tokenizer=characters")
    text = corpus.load()
    assert plan.vocabulary(config) == (len(set(text)) + 1, [])
    assert plan.data_tokens(config, 10) == len(text)


def test_an_unknown_tokenizer_is_assumed_and_said(job: Callable[..., Config]) -> None:
    size, notes = plan.vocabulary(job("data.tokenizer=mine"))
    assert size == 1024
    assert "assumed" in notes[0]


# --- the real model's activations, the real processes' memory ---------------------------------------------------

KINDS = [
    "recipe=gpt2",
    "recipe=modern",
    "d_ff=480",
    "positions=rope",
    "norm=rmsnorm",
    "qk_norm=yes",
    "dropout=0.1",
]


@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "autocast"])
@pytest.mark.parametrize("kind", KINDS)
def test_activations_are_those_that_torch_saves(
    job: Callable[..., Config], kind: str, bfloat16: bool
) -> None:
    """One layer more keeps so many bytes more."""
    pytest.importorskip("torch")
    sizes = []
    for layers in (2, 3):
        config = job(f"model.n_layers={layers}", "model.d_model=96", "model.n_heads=4", "model.context=40",
                     f"model.{kind}")  # fmt: skip
        sizes.append(_saved_bytes(config, bfloat16))
    predicted = memory.layer_bytes(config, bfloat16, "cpu")
    assert (sizes[1] - sizes[0]) / 80 == pytest.approx(predicted, rel=0.04)


def _saved_bytes(config: Config, bfloat16: bool) -> int:
    """Bytes of all tensors that a forward pass of 2 x 40 tokens saves, weights left out."""
    import torch

    from cohort_cli.training.models import gpt

    model = gpt.build(config.model, 50)
    model.train()
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    shapes = {tuple(shape) for p in model.parameters() for shape in (p.shape, p.shape[::-1])}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        copy = bfloat16 and tensor.dim() == 2 and tuple(tensor.shape) in shapes
        if tensor.untyped_storage().data_ptr() not in weights and not copy:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.zeros(2, 40, dtype=torch.int64)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bfloat16),
    ):
        _, loss = model(ids, ids)
    assert loss is not None
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


SHAPES = {  # layers, width, heads, context, sequences, vocabulary, and more
    "wide": (4, 512, 8, 64, 4, 512),
    "deep": (8, 256, 8, 128, 8, 1024),
    "long": (6, 384, 6, 256, 16, 512),
    "modern": (6, 384, 6, 256, 8, 512, "model.recipe=modern"),
    "gpt2-vocabulary": (6, 384, 6, 256, 4, 50_304),
    "accumulating": (6, 384, 6, 256, 12, 50_304, "batch.micro_sequences=4"),
    "checkpointing": (6, 384, 6, 256, 8, 512, "hardware.activation_checkpointing=true"),
    "gpt2-small": (12, 768, 12, 128, 2, 50_257),
    "muon": (12, 768, 12, 64, 4, 512, "optimizer.name=muon"),
    "bfloat16": (6, 384, 6, 256, 8, 512, "hardware.precision=bfloat16"),
}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the allocator's share was measured on Linux")


@LINUX
def test_the_memory_of_a_real_run_is_predicted(job: Callable[..., Config], tmp_path: Path) -> None:
    predicted, measured = _predicted_and_measured(job, tmp_path, SHAPES["wide"])
    assert predicted == pytest.approx(measured, rel=0.15)


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "wide"])
def test_the_memory_of_real_runs_is_predicted(job: Callable[..., Config], tmp_path: Path, shape: str) -> None:
    predicted, measured = _predicted_and_measured(job, tmp_path, SHAPES[shape])
    assert predicted == pytest.approx(measured, rel=0.15)


# A process begins with the peak of the one that started it, so a small one stands between the tests' and the run.
PEAK_OF = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(code)
"""


def _predicted_and_measured(
    job: Callable[..., Config], folder: Path, shape: tuple[Any, ...]
) -> tuple[float, float]:
    """Bytes: what the plan says, and the highest resident memory of a training process."""
    layers, width, heads, context, sequences, vocabulary, *more = shape
    config = job(
        f"model.n_layers={layers}", f"model.d_model={width}", f"model.n_heads={heads}", f"model.context={context}",
        f"model.vocab_size={vocabulary}", f"batch.sequences={sequences}", "batch.micro_sequences=0",
        "data.source=embedded", "data.tokenizer=characters", "schedule.steps=4", "run.eval_tokens=1000",
        "run.checkpoint_every=2", "run.sample_tokens=4", "hardware.device=cpu", "hardware.threads=1",
        "hardware.precision=float32", *more,
    )  # fmt: skip
    run = RunFolder.create(folder / "run", config)
    done = subprocess.run(
        [sys.executable, "-c", PEAK_OF, *launch.command(run, 1)],
        env=launch.environment(1, 1),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    measured = float(done.stdout.splitlines()[-1])
    vocab_size, _ = plan.vocabulary(config)
    return memory.total(config, vocab_size, machine_for(config, "cpu")), measured


def test_the_plan_of_a_cpu_measures_its_peak() -> None:
    assert machines.measured_peak(size=256, seconds=0.02) > 1e8


def test_a_resolved_config_stays_as_it_is(job: Callable[..., Config]) -> None:
    assert resolve(job()) == job()
    assert job().hardware == Hardware(device="cuda")
