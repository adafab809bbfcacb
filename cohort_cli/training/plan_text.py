"""A plan as text for a terminal of 80 columns: each number with its unit."""

from __future__ import annotations

from collections.abc import Iterator

from cohort_cli.prose import clean, wrap
from cohort_cli.training import fitting, gpus, memory
from cohort_cli.training.machines import utilisation_of
from cohort_cli.training.plan import Plan

LABEL = 21  # columns
NUMBER = 16


def lines(plan: Plan, price: float | None) -> Iterator[str]:
    """Everything but the last line, which says what to do next."""
    config = plan.config
    yield clean(f"{config.preset}: {config.title}")
    yield from wrap(_machine(plan), rest="  ")
    yield from _model(plan)
    yield from _compute(plan)
    yield from _time(plan, price)
    yield from _memory(plan)
    yield from _disk(plan)
    for note in plan.notes:
        yield from wrap(note, first="note: ", rest="      ")


def _row(label: str, number: str, note: str = "") -> str:
    return f"  {label:<{LABEL}}{number:>{NUMBER}}{'   ' + note if note else ''}"


def _machine(plan: Plan) -> str:
    machine = plan.machine
    if machine.gpu is None:
        several = f", {machine.devices} processes" if machine.devices > 1 else ""
        return f"on {machine.name} with {size(machine.memory)} of memory{several}"
    how = {"none": "", "ddp": ", DDP", "fsdp": ", FSDP2"}[machine.parallel]
    kind = "dense bf16" if machine.gpu.bf16 else "float32"
    each = " each" if machine.devices > 1 else ""
    return (
        f"on {machine.devices} x {machine.name} ({machine.memory / 1e9:.0f} GB, "
        f"{machine.gpu.flops / 1e12:.5g} TFLOP/s {kind}{each}{how})"
    )


def _model(plan: Plan) -> Iterator[str]:
    model = plan.config.model
    yield ""
    yield "model"
    shape = f"{model.n_layers} layers of width {model.d_model}, {model.recipe}"
    yield _row("parameters", f"{plan.parameters.total:,}", shape)
    if plan.trained != plan.parameters.total:
        how = f"LoRA of rank {plan.config.lora.r}" if plan.config.lora.r else "the others are frozen"
        yield _row("trained", f"{plan.trained:,}", how)
    padded = "" if model.padded_to == 1 else f", rounded up to {model.padded_to}s"
    yield _row("vocabulary", f"{plan.vocab_size:,}", f"{plan.config.data.tokenizer}{padded}")


def _compute(plan: Plan) -> Iterator[str]:
    config = plan.config
    yield ""
    yield "compute"
    steps = f"{config.schedule.steps:,} steps of {plan.tokens_per_step:,}"
    at_most = "" if config.task == "pretrain" else " at most"
    yield _row("tokens", f"{plan.tokens:,}", steps + at_most)
    if config.task == "pretrain":
        yield _row("per parameter", f"{plan.tokens / plan.parameters.total:.1f}", "tokens")
    count = "6 N + 12 L d T" if plan.trained == plan.parameters.total else "less than 6 N + 12 L d T"
    if config.task == "dpo":
        count = "and the reference model's"
    yield _row("FLOPs per token", flops(plan.flops_per_token), count)
    again = "blocks are computed twice" if config.hardware.activation_checkpointing else ""
    yield _row("of all steps", flops(plan.flops), again)
    if plan.evaluation_flops:
        yield _row("of evaluations", flops(plan.evaluation_flops))


def _time(plan: Plan, price: float | None) -> Iterator[str]:
    machine = plan.machine
    yield ""
    yield "time"
    yield _row("peak", f"{flops(machine.peak)}/s", _how_known(plan))
    yield _row("utilisation", f"{machine.utilisation:.0%}", "assumed; --utilisation changes it")
    yield from wrap(_where_from(plan), first=" " * 4, rest=" " * 4)
    yield _row("tokens per second", f"{plan.tokens_per_second:,.0f}")
    yield _row("all steps", duration(plan.seconds))
    if plan.cost is not None and price is not None:
        hours = plan.seconds / 3600 * machine.devices
        yield _row("cost", f"{plan.cost:,.2f}", f"{hours:,.1f} GPU-hours at {price:,.2f}")


def _how_known(plan: Plan) -> str:
    if plan.machine.gpu is None:
        return "measured just now, by numpy"
    return "all together" if plan.machine.devices > 1 else ""


def _where_from(plan: Plan) -> str:
    if plan.machine.gpu is None:
        return "the kit's steps reach about 60% with a small network, more with a wide one"
    runs = [
        f"{run.what} on {run.gpus} {gpus.GPUS[run.gpu].name}: {utilisation_of(run):.0%}"
        for run in gpus.PUBLISHED
    ]
    return f"published runs, by the same count: {'; '.join(runs)}"


def _memory(plan: Plan) -> Iterator[str]:
    config, machine = plan.config, plan.machine
    micro = min(config.batch.micro_sequences, config.batch.sequences // machine.devices)
    yield ""
    yield "memory of " + (
        "each GPU" if machine.gpu and machine.devices > 1 else "the GPU" if machine.gpu else "the CPU"
    )
    for part in plan.memory:
        note = part.note
        if part.name == "activations":
            note = f"{micro} x {config.batch.length} tokens per pass"
        yield _row(part.name, size(part.bytes), note)
    verdict = "fits into" if plan.fits else "DOES NOT FIT into"
    yield _row("all", size(plan.memory_bytes), f"{verdict} {size(machine.memory)}")
    if plan.largest_micro_batch:
        yield _row("largest pass", f"{plan.largest_micro_batch:,}", "sequences (batch.micro_sequences)")
    if plan.config.task in ("pretrain", "instruct"):
        whole = memory.unchunked_logits_bytes(config, plan.vocab_size, machine)
        yield _row("logits, if whole", size(whole), "as in a GPT of your own")
    if saved := _without_checkpointing(plan):
        yield from wrap(saved, first="  ", rest="  ")
    for advice in plan.advice:
        yield from wrap(f"{advice.says}:  {advice.words}", first="  - ", rest="    ")


def _without_checkpointing(plan: Plan) -> str:
    """Whether activation checkpointing could be left out, and what it costs."""
    config = plan.config
    if not (config.hardware.activation_checkpointing and plan.fits):
        return ""
    light = fitting.with_checkpointing(config, False)
    micro = fitting.largest_micro_batch(light, plan.vocab_size, plan.machine)
    if not micro:
        return ""
    fewer = f" and batch.micro_sequences={micro}" if micro < config.batch.micro_sequences else ""
    saved = (plan.flops - plan.flops_per_token * plan.tokens) / plan.machine.speed
    return f"It also fits with hardware.activation_checkpointing=false{fewer}, which saves {duration(saved)}."


def _disk(plan: Plan) -> Iterator[str]:
    yield ""
    yield "disk"
    if plan.token_bytes:
        bits = 16 if plan.vocab_size <= 65_536 else 32
        yield _row("tokens", size(plan.token_bytes), f"{bits} bits each")
    yield _row("a checkpoint", size(plan.checkpoint_bytes), "weights and optimizer, float32")
    yield _row(
        "checkpoints", size(plan.checkpoint_bytes * plan.checkpoints), f"at most {plan.checkpoints} at once"
    )


# --- numbers with units ----------------------------------------------------------------------------------------


def size(count: float) -> str:
    """1,990,000,000 bytes are 1.99 GB."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor * 0.9995:
            return (
                f"{count / factor:.3g} {unit}" if count < 999.5 * factor else f"{count / factor:,.0f} {unit}"
            )
    return f"{count:.0f} B"


def flops(count: float) -> str:
    for unit, factor in (("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6)):
        if factor <= count < 1e18:
            return f"{count / factor:.4g} {unit}"
    return f"{count:.3g} FLOP"


def duration(seconds: float) -> str:
    """In the unit that a person would use."""
    if seconds < 99:
        return f"{seconds:.0f} s"
    if seconds < 99 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 99 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
