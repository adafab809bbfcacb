"""What a job will need before it runs: parameters, FLOPs, memory, hours, disk, and what it costs. No torch here.

counting.py counts, memory.py adds up one step's memory, fitting.py says what else would fit, machines.py and gpus.py
what there is; here it comes together.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from cohort_cli.catalog import find_project
from cohort_cli.errors import UsageError
from cohort_cli.training import fitting, memory, start
from cohort_cli.training.config import Config
from cohort_cli.training.counting import (
    Parameters,
    count_parameters,
    flops_per_token,
    parameters,
    recomputed_flops_per_token,
    sequences_per_step,
    step_flops_per_token,
    trained,
)
from cohort_cli.training.machines import Machine
from cohort_cli.training.memory import Part

__all__ = ["Plan", "count_parameters", "flops_per_token", "make"]


class Plan(NamedTuple):
    """Every number has its unit beside it. GB are 10^9 bytes."""

    config: Config
    machine: Machine
    vocab_size: int  # after rounding up
    parameters: Parameters
    trained: int  # parameters that get a gradient
    tokens: int  # that the steps read
    tokens_per_step: int
    flops_per_token: float  # of a step, without what is computed twice
    flops: float  # of all steps, with it
    evaluation_flops: float  # of measuring the validation loss
    seconds: float
    memory: tuple[Part, ...]  # bytes per device, or of the process on a CPU
    largest_micro_batch: int  # sequences; 0: not even one fits
    advice: tuple[fitting.Advice, ...]
    checkpoint_bytes: float
    checkpoints: int  # at most so many lie on the disk at once
    token_bytes: float  # on the disk
    cost: float | None  # in the currency of the price
    notes: tuple[str, ...]

    @property
    def memory_bytes(self) -> float:
        return sum(part.bytes for part in self.memory)

    @property
    def fits(self) -> bool:
        return self.memory_bytes <= self.machine.memory

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0


def make(config: Config, machine: Machine, price: float | None = None) -> Plan:
    """The plan of a job on a machine. `price` is that of one device for one hour."""
    config, notes = adopted(config)
    vocab_size, assumed = vocabulary(config)
    notes += assumed
    if config.task != "pretrain" and machine.gpu is None:
        notes.append("Batches of many lengths make a process on a CPU keep up to 1 GB more than this.")
    model, batch, steps = config.model, config.batch, config.schedule.steps
    count = parameters(model, vocab_size)
    tokens_per_step = sequences_per_step(config) * batch.length
    tokens = steps * tokens_per_step
    per_token = step_flops_per_token(config, vocab_size)
    flops = tokens * (per_token + recomputed_flops_per_token(config, vocab_size))
    evaluated, more = evaluation_tokens(config)
    evaluation = evaluated * flops_per_token(model, vocab_size, batch.length) / 3
    seconds = (flops + evaluation) / machine.speed
    parts = memory.parts(config, vocab_size, machine)
    disk_tokens = data_tokens(config, tokens) if config.task == "pretrain" else 0
    return Plan(
        config=config,
        machine=machine,
        vocab_size=vocab_size,
        parameters=count,
        trained=trained(config, vocab_size),
        tokens=tokens,
        tokens_per_step=tokens_per_step,
        flops_per_token=per_token,
        flops=flops,
        evaluation_flops=evaluation,
        seconds=seconds,
        memory=parts,
        largest_micro_batch=fitting.largest_micro_batch(config, vocab_size, machine),
        advice=fitting.advice(config, vocab_size, machine),
        checkpoint_bytes=memory.checkpoint_bytes(config, vocab_size),
        checkpoints=config.run.keep + 2,  # those that are kept, the best one, and the one being written
        token_bytes=disk_tokens * (2 if vocab_size <= 65_536 else 4),
        cost=None if price is None else price * machine.devices * seconds / 3600,
        notes=(*notes, *more),
    )


def adopted(config: Config) -> tuple[Config, list[str]]:
    """The config with the shape of the run that it starts from. Where that is not there yet, its own, and a note."""
    try:
        return start.adopt(config), []
    except UsageError:
        says = f"There is no {config.model.start_from} yet: the shape that this preset names is assumed."
        return config, [says]


# --- what depends on the data ----------------------------------------------------------------------------------

GPT2_VOCABULARY = 50_257
USUAL_VOCABULARIES = {"characters": 256, "mine": 1_024}  # assumed, before the data is there


def vocabulary(config: Config) -> tuple[int, list[str]]:
    """(entries of the model's vocabulary, what was assumed)."""
    size, notes = config.model.vocab_size, []
    if not size:
        found = tokenizer_size(config)
        if found is None:
            size = USUAL_VOCABULARIES.get(config.data.tokenizer, 50_304)
            notes.append(
                f"The tokenizer {config.data.tokenizer} is not made yet: {size:,} tokens are assumed. "
                "Say it with: --set model.vocab_size=…"
            )
        else:
            size = found
    multiple = config.model.padded_to
    return -(-size // multiple) * multiple, notes


def tokenizer_size(config: Config) -> int | None:
    """Tokens of the tokenizer, or None if it does not exist before the data is prepared."""
    name, source, start_from = config.data.tokenizer, config.data.source, config.model.start_from
    if start_from:
        with contextlib.suppress(UsageError):  # the run is not there yet
            if tokenizer := start.tokenizer_of(start_from):
                return tokenizer.vocab_size
    if name == "gpt2":
        return GPT2_VOCABULARY
    if name == "characters":
        text = corpus(source)
        return None if text is None else len(set(text)) + 1  # one more, for all others
    if name != "mine" and Path(name).is_file():
        from cohort_cli.training.data import tokenizer as tokenizers

        return tokenizers.load(Path(name)).vocab_size
    return None


def corpus(source: str) -> str | None:
    """The text of a source that is small and on this machine, or None."""
    if source == "embedded":
        from cohort_cli.training import corpus as embedded

        return embedded.load()
    path = Path(source)
    if source.startswith("kit:"):
        path = find_project("project3").folder / "data" / f"{source.removeprefix('kit:')}.jsonl"
    if path.is_file() and path.stat().st_size < 100_000_000:
        return path.read_text(encoding="utf-8", errors="replace")
    return None


# Tokens of GPT-2's vocabulary in a corpus: of FineWeb-Edu's sample as its page says, of OpenWebText as nanoGPT counted.
KNOWN_TOKENS = {"fineweb-edu": 10_000_000_000, "openwebtext": 9_036_000_000}


def data_tokens(config: Config, tokens: int) -> int:
    """How many tokens will lie on the disk: what the source has, or else as many as the steps read."""
    data = config.data
    text = corpus(data.source) if data.tokenizer == "characters" else None
    have = len(text) if text is not None else KNOWN_TOKENS.get(data.source, tokens)
    return min(have, data.max_tokens) if data.max_tokens else have


def evaluation_tokens(config: Config) -> tuple[float, list[str]]:
    """(tokens that are scored in all evaluations together, what was assumed)."""
    run, steps = config.run, config.schedule.steps
    if config.task != "pretrain":
        return 0.0, []  # a few small examples
    times = 1 + -(-steps // run.eval_every)  # before the first step, then every so often, and at the end
    if run.eval_tokens:
        return float(times * run.eval_tokens), []
    text = corpus(config.data.source) if config.data.tokenizer == "characters" else None
    if text is not None:
        return times * len(text) * config.data.validation_share, []
    if config.data.max_tokens:
        return times * config.data.max_tokens * config.data.validation_share, []
    return 0.0, ["The time of evaluations is left out: how much validation text there is, is not known yet."]
