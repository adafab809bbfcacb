"""Puts a job together from its run folder: data, model, tools, loop.

The run folder says everything: `config.json` holds the configuration and which parts are the member's. So a job is
started and resumed by the same call, on any machine that sees the folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.training import board, checkpoint, device, finetune, plan, saving, start
from cohort_cli.training.config import Config
from cohort_cli.training.data.prepare import prepare as prepare_tokens
from cohort_cli.training.data.write import Progress, nothing
from cohort_cli.training.distributed import Processes, blocks, parallel
from cohort_cli.training.loop import Loop, Tools, seed_everything
from cohort_cli.training.models import gpt
from cohort_cli.training.models.linear import linear
from cohort_cli.training.optim import build_optimizers, lr_share
from cohort_cli.training.parts import Parts, clip_of, model_of, optimizer_of, rate_of
from cohort_cli.training.places import data_home
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import StopFlag
from cohort_cli.training.tasks import Pretrain, Task

Tell = Callable[[dict[str, Any]], None]


def prepare(folder: RunFolder, stop: StopFlag, tell: Tell) -> Loop:
    """The job of this folder where it stands, ready to run."""
    config, parts = folder.config(), Parts(folder.parts())
    where = device.pick_device(config.hardware.device)
    processes = Processes(where)
    config = config._replace(
        hardware=parallel(config.hardware, processes.world), batch=share_batch(config, processes.world)
    )
    device.set_up_torch(config.hardware)
    if not processes.first:
        tell = _nobody
    elif config.run.tensorboard:
        tell = board.also(tell, folder.root)
    return build(config, parts, folder, processes, stop, tell)


def build(
    config: Config, parts: Parts, folder: RunFolder, processes: Processes, stop: StopFlag, tell: Tell
) -> Loop:
    """The loop, with everything where the newest checkpoint left it."""
    where = processes.device
    bfloat16 = device.pick_precision(config.hardware.precision, where) == "bfloat16"
    task = make_task(config, parts, tell, lambda share, tokens: stop.leave_if_requested())
    vocab_size = padded(task.tokenizer.vocab_size, config)
    if processes.first:
        learned = bool(checkpoint.checkpoints(folder.checkpoints))
        folder.keep_data(config.data.source, task.identity, task.tokenizer.to_json(), learned=learned)
    bare = make_model(config, parts, task, vocab_size).to(where)
    parameters = sum(p.numel() for p in bare.parameters())
    model = processes.wrap(_compiled(bare, config), config.hardware, bfloat16)
    optimizers = make_optimizers(parts, model, config)
    tools = Tools(model, optimizers, make_rate(parts, config), make_clip(parts))
    if (
        config.hardware.parallel != "fsdp"
    ):  # there no process holds the whole model; `cohort generate` does it
        tools.sample = lambda step: _sample(task, bare, step, where)
    loop = Loop(config, folder, task, tools, processes, stop, tell, bfloat16)
    loop.flops_per_token = plan.step_flops_per_token(config, vocab_size)
    loop.peak_flops = (
        device.matrix_peak(where, torch.bfloat16 if bfloat16 else torch.float32, product=linear)
        * processes.world
    )
    facts = {"device": device.describe(where), "precision": "bfloat16" if bfloat16 else "float32"}
    notes = folder.write_environment(**facts) if processes.first else []
    notes += [*task.notes, *resume(loop, folder, processes)]
    tell(
        {
            "event": "start",
            "run": str(folder.root),
            "title": config.title,
            "parameters": parameters,
            **facts,
            "processes": processes.world,
            "parallel": config.hardware.parallel if processes.world > 1 else "",
            "steps": config.schedule.steps,
            "step": loop.step,
            "vocab_size": vocab_size,
            "notes": notes,
        }
    )
    return loop


def make_task(config: Config, parts: Parts, tell: Tell, progress: Progress = nothing) -> Task:
    """The data of the job. If it is not prepared yet, the first process that asks does it, and the others wait."""
    tokenizer = start.tokenizer_of(config.model.start_from)
    if config.task != "pretrain":
        return finetune.make_task(config, parts, tokenizer)
    tokens = prepare_tokens(
        config.data, data_home(), lambda line: tell({"event": "note", "text": line}), progress
    )
    return Pretrain(tokens, config, parts)


def make_model(config: Config, parts: Parts, task: Task, vocab_size: int) -> nn.Module:
    """The network with its first weights, and with what the task adds. The same in every process, at every start."""
    seed_everything(config.run.seed, -1, 0)
    model = model_of(parts, config.model, vocab_size) or gpt.build(config.model, vocab_size)
    start.load_weights(model, config.model, vocab_size)
    if config.hardware.activation_checkpointing:
        _checkpoint_blocks(model)
    return task.adapt(model, vocab_size)


def make_optimizers(parts: Parts, model: nn.Module, config: Config) -> Sequence[Optimizer]:
    own = optimizer_of(parts, model, config) if config.optimizer.name == "adamw" else None
    return [own] if own is not None else build_optimizers(model, config.optimizer)


def make_rate(parts: Parts, config: Config) -> Callable[[int], float]:
    return rate_of(parts, config) or (lambda step: lr_share(step, config.schedule))


def make_clip(parts: Parts) -> Callable[[list[nn.Parameter], float], Tensor]:
    return clip_of(parts) or clip


def clip(parameters: list[nn.Parameter], limit: float) -> Tensor:
    """Scale all gradients together if their L2 norm is above `limit` (0: only measure). Returns the norm before."""
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit or float("inf"))
    gather = getattr(norm, "full_tensor", None)  # with sharded gradients the norm is a sum over processes
    return norm if gather is None else gather()


def resume(loop: Loop, folder: RunFolder, processes: Processes) -> list[str]:
    """Put the newest good checkpoint into the loop. Returns what the user should know."""
    notes: list[str] = []
    config = loop.config
    like = saving.empty_like(loop.tools.model)
    loaded = checkpoint.load_newest(folder.checkpoints, notes.append, like)
    if loaded is not None:
        saving.restore(
            loop.tools.model,
            loop.tools.optimizers,
            loaded.tensors,
            loaded.state["optimizer_numbers"],
            str(loaded.path),
        )
        loop.step, loop.saved, loop.seconds = loaded.step, loaded.step, float(loaded.state["seconds"])
        loop.tokens = int(
            loaded.state.get("tokens", loop.step * config.batch.sequences * config.batch.length)
        )
        loop.saved_loss = _or_infinity(loaded.state.get("validation_loss"))
        loop.best_saved = _or_infinity(loaded.state.get("best_saved"))
        notes.append(f"resumed from step {loaded.step}")
    if processes.first:
        folder.keep_metrics_until(loop.step)
    processes.barrier()
    return notes


def _or_infinity(loss: float | None) -> float:
    """A loss that was not measured is no better than any other."""
    return math.inf if loss is None else float(loss)


def share_batch(config: Config, world: int) -> Any:
    """The batch, so that every process gets the same number of micro-batches. Raises UsageError if that cannot be."""
    batch = config.batch
    if batch.sequences % world:
        raise UsageError(
            f"batch.sequences is {batch.sequences}, which {world} processes cannot share evenly.",
            f"For example: --set batch.sequences={max(1, batch.sequences // world) * world}",
        )
    micro = min(batch.micro_sequences, batch.sequences // world)
    if batch.sequences % (micro * world):
        raise UsageError(
            f"batch.sequences is {batch.sequences}; {world} processes with {micro} sequences each do not divide it.",
            f"For example: --set batch.micro_sequences={_fitting(batch.sequences // world, micro)}",
        )
    return batch._replace(micro_sequences=micro)


def _fitting(share: int, most: int) -> int:
    return max(n for n in range(1, most + 1) if share % n == 0)


def padded(vocab_size: int, config: Config) -> int:
    """The size of the vocabulary in the model: rounded up, or what the preset says, if that holds every id."""
    wanted = config.model.vocab_size or vocab_size
    if wanted < vocab_size:
        raise UsageError(
            f"model.vocab_size is {wanted}, but the tokenizer has {vocab_size} ids.",
            f"--set model.vocab_size={vocab_size}",
        )
    multiple = config.model.padded_to
    return (wanted + multiple - 1) // multiple * multiple


def _compiled(model: nn.Module, config: Config) -> nn.Module:
    if not config.hardware.compile:
        return model
    compiled: nn.Module = torch.compile(model)  # type: ignore[assignment]
    return compiled


def _checkpoint_blocks(model: nn.Module) -> None:
    """Compute each block's inside again in the backward pass instead of keeping it. The kit's GPT has a switch for it.

    Source: Chen et al. 2016, https://arxiv.org/abs/1604.06174
    """
    from torch.utils.checkpoint import checkpoint as recompute

    if isinstance(model, gpt.GPT):
        model.checkpoint_blocks = True
        return
    for block in blocks(model):
        forward = block.forward

        def again(*args: Any, _forward: Any = forward, **kwargs: Any) -> Any:
            if not torch.is_grad_enabled():
                return _forward(*args, **kwargs)
            return recompute(_forward, *args, use_reentrant=False, **kwargs)

        block.forward = again


def _sample(task: Task, model: nn.Module, step: int, where: torch.device) -> tuple[str, str] | None:
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return task.sample(model, step, where)
    finally:
        model.train(was_training)


def _nobody(event: dict[str, Any]) -> None:
    """The other processes do their part and say nothing."""


def explain(error: BaseException, parts: dict[str, str]) -> CohortError | None:
    """An error that came out of the member's own code, as one that says so."""
    from cohort_cli.training.parts import PartFailed, where

    if isinstance(error, CohortError) or not parts:
        return None
    place = where(error, parts)
    if not place:
        return None
    return PartFailed(
        f"Your code raised {type(error).__name__} at {place}: {error}",
        "Check that part again, or train with: --model reference",
    )
