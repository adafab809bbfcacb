"""What would fit where a job does not: fewer sequences per pass, activation checkpointing, LoRA, more or larger GPUs."""

from __future__ import annotations

from typing import NamedTuple

from cohort_cli.training.config import Config
from cohort_cli.training.gpus import GPUS
from cohort_cli.training.machines import Machine, machine_for
from cohort_cli.training.memory import total


def largest_micro_batch(config: Config, vocab_size: int, machine: Machine) -> int:
    """The most sequences per pass that fit and that divide a device's share of the batch; 0 if not one fits."""
    share = config.batch.sequences // machine.devices
    sizes = [n for n in range(1, share + 1) if share % n == 0]
    fitting = [n for n in sizes if total(with_micro(config, n), vocab_size, machine) <= machine.memory]
    return max(fitting, default=0)


def with_micro(config: Config, sequences: int) -> Config:
    return config._replace(batch=config.batch._replace(micro_sequences=sequences))


def with_checkpointing(config: Config, on: bool) -> Config:
    return config._replace(hardware=config.hardware._replace(activation_checkpointing=on))


class Advice(NamedTuple):
    says: str
    words: str  # what to add to the command line


def advice(config: Config, vocab_size: int, machine: Machine) -> tuple[Advice, ...]:
    """What would make the job fit, gentlest first; nothing if it fits."""
    if total(config, vocab_size, machine) <= machine.memory:
        return ()
    found = []
    if micro := largest_micro_batch(config, vocab_size, machine):
        found.append(Advice(f"{_sequences(micro)} per pass fit", f"--set batch.micro_sequences={micro}"))
    if not config.hardware.activation_checkpointing:
        lean = with_checkpointing(config, True)
        words = "--set hardware.activation_checkpointing=true"
        if total(lean, vocab_size, machine) <= machine.memory:
            found.append(Advice("activation checkpointing makes it fit", words))
        elif micro := largest_micro_batch(lean, vocab_size, machine):
            says = f"with activation checkpointing, {_sequences(micro)} per pass fit"
            found.append(Advice(says, f"{words} --set batch.micro_sequences={micro}"))
    if config.task != "pretrain" and not config.lora.r and _fits_with_lora(config, vocab_size, machine):
        found.append(Advice("LoRA trains small adapters and needs less", "--set lora.r=8"))
    if machine.gpu is not None:
        found += _more_gpus(config, vocab_size, machine) + _another_gpu(config, vocab_size, machine)
    return tuple(found)


def _fits_with_lora(config: Config, vocab_size: int, machine: Machine) -> bool:
    with_lora = config._replace(lora=config.lora._replace(r=8))
    return largest_micro_batch(with_lora, vocab_size, machine) > 0


def _more_gpus(config: Config, vocab_size: int, machine: Machine) -> list[Advice]:
    """FSDP over the fewest GPUs that hold it, with as many sequences per pass as then fit."""
    sharded = config._replace(hardware=config.hardware._replace(parallel="fsdp"))
    key = key_of(machine)
    for count in (2, 4, 8, 16, 32, 64):
        if count <= machine.devices or config.batch.sequences % count:
            continue
        more = machine_for(sharded, key, count)
        micro = largest_micro_batch(sharded, vocab_size, more)
        if micro:
            words = f"--gpus {count} --set hardware.parallel=fsdp"
            if micro < config.batch.micro_sequences:
                words += f" --set batch.micro_sequences={micro}"
            return [Advice(f"FSDP shards it over {count} GPUs, {_sequences(micro)} per pass", words)]
    return []


def _another_gpu(config: Config, vocab_size: int, machine: Machine) -> list[Advice]:
    """The smallest GPU of the table that holds it as it is."""
    for key, gpu in sorted(GPUS.items(), key=lambda item: (item[1].memory, -item[1].flops)):
        if gpu.memory > machine.memory:
            other = machine_for(config, key, machine.devices)
            if total(config, vocab_size, other) <= other.memory:
                return [Advice(f"a GPU with {gpu.memory / 1e9:.0f} GB holds it", f"--gpu {key}")]
    return []


def key_of(machine: Machine) -> str:
    return next((key for key, gpu in GPUS.items() if gpu == machine.gpu), "cpu")


def _sequences(count: int) -> str:
    return f"{count:,} sequence{'' if count == 1 else 's'}"
