"""The loop: batches in, optimizer steps out, and nothing lost on the way.

    for each step:   evaluate, save and sample if it is time
                     for each micro-batch: forward, backward          (gradients add up)
                     clip the whole gradient, take one optimizer step

The random numbers of a step come from (seed, step, process) and its data from (seed, sequence number). So the state
that a resumed run needs is the weights, what the optimizer remembers, and one number: the step. Part of a step is
never saved: a run that is stopped in the middle of its micro-batches forgets them and does the whole step again.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cohort_cli.errors import UsageError
from cohort_cli.training import checkpoint, guards, saving
from cohort_cli.training.config import Config
from cohort_cli.training.data.batches import prefetch
from cohort_cli.training.distributed import Processes
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import StopFlag
from cohort_cli.training.tasks import Batch, Task

Tell = Callable[[dict[str, Any]], None]


@dataclass
class Tools:
    """What a step is done with. Each may be the kit's or the member's own."""

    model: nn.Module
    optimizers: Sequence[Optimizer]  # each group has "peak", the learning rate at the top of the schedule
    rate: Callable[[int], float]  # step -> share of the peak
    clip: Callable[[list[nn.Parameter], float], Tensor]  # norm of the whole gradient before clipping
    sample: Callable[[int], tuple[str, str] | None] = lambda step: (
        None
    )  # (prompt, what the model makes of it)


@dataclass
class Loop:
    """One run, from wherever it stands to its last step or to a request to stop."""

    config: Config
    folder: RunFolder
    task: Task
    tools: Tools
    processes: Processes
    stop: StopFlag
    tell: Tell
    bfloat16: bool = False
    flops_per_token: float = 0.0
    peak_flops: float = 0.0  # of all devices together, FLOP/s; 0: unknown
    step: int = 0
    tokens: int = 0  # seen so far, padding too
    seconds: float = 0.0  # of training, before this process was started
    saved: int = -1  # the step of the newest checkpoint, and its validation loss
    saved_loss: float = math.inf
    best_saved: float = math.inf  # the lowest validation loss that a checkpoint has
    _validation: list[Batch] | None = field(default=None, init=False)

    def run(self) -> str:
        """Train. Returns "done" or "stopped"; both leave a checkpoint of exactly this state."""
        self._began = self._saved_at = time.monotonic()
        self._seconds_before = self.seconds
        steps = self.config.schedule.steps
        with contextlib.closing(
            checkpoint.Writer(self.folder.checkpoints, keep=self.config.run.keep)
        ) as writer:
            self.writer = writer
            batches = self._batches()
            self._look_back()
            while True:
                measured = self._evaluate_if_due()
                last = self.step >= steps
                if last or self._time_to_save():
                    self.save()
                self._sample_if_due()  # after the save: what goes wrong here costs nothing
                if last or self._asked_to_stop():
                    break
                if not self._one_step(batches):
                    break
                self._tell_saved()
                if self.step == self._first_step + 1:
                    self._reserve()
            self.save()
            writer.wait()
            self._tell_saved()
        return "done" if self.step >= steps and measured else "stopped"

    # --- one optimizer step ------------------------------------------------------------------------------

    def _one_step(self, batches: Any) -> bool:
        """One optimizer step. Returns False if it was given up because of a request to stop."""
        config, model = self.config, self.tools.model
        began = time.monotonic()
        seed_everything(config.run.seed, self.step, self.processes.rank)
        share = self.tools.rate(self.step)
        for optimizer in self.tools.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * share
        model.train()
        micro_batches = self.micro_batches
        whole = self.task.counted(self.step * config.batch.sequences, config.batch.sequences)
        nats = torch.zeros((), device=self.processes.device)  # stays there: asking for it would stop a GPU
        tokens = 0  # that pass through the model, padding too
        for micro in range(micro_batches):
            if self._asked_to_stop():
                return False
            tensors, counted = next(batches)
            last = micro == micro_batches - 1
            with self.processes.gradients_stay_here(model, not last):
                with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.bfloat16):
                    loss = self.task.loss(model, tensors)
                # DDP and FSDP average over the processes; the step's loss is a mean over all counted targets
                weight = counted / whole
                (loss * (weight * self.processes.world)).backward()
            nats += loss.detach().float() * weight
            tokens += tensors[0].numel()
        sums = self.processes.sum(torch.stack([nats, torch.full_like(nats, tokens)]))
        loss_here, all_tokens = float(sums[0]), int(sums[1])
        saved = None
        if self.saved == self.step:
            saved = self.folder.checkpoints / checkpoint.name_of(self.step)
        guards.require_finite("loss", loss_here, self.step + 1, saved)
        parameters = [p for p in model.parameters() if p.grad is not None]
        norm = float(self.tools.clip(parameters, config.optimizer.clip_norm))
        guards.require_finite("gradient norm", norm, self.step + 1)
        for optimizer in self.tools.optimizers:
            optimizer.step()
        self._forget_gradients()
        self.step += 1
        self.tokens += all_tokens
        self._log(loss_here, share, norm, all_tokens / (time.monotonic() - began))
        return True

    @property
    def micro_batches(self) -> int:
        """Per process and optimizer step."""
        batch = self.config.batch
        return batch.sequences // (batch.micro_sequences * self.processes.world)

    def _batches(self) -> Any:
        """(tensors on the device, counted targets) for each micro-batch of this process, from this step on."""
        micro = self.config.batch.micro_sequences
        counts: list[int] = []  # what the tensors count goes beside the prefetcher, in the same order

        def rows() -> Any:
            for step in range(self.step, self.config.schedule.steps):
                for number in range(self.micro_batches):
                    first = step * self.config.batch.sequences
                    first += (number * self.processes.world + self.processes.rank) * micro
                    batch = self.task.batch(first, micro)
                    counts.append(batch.counted)
                    yield batch.tensors

        for tensors in prefetch(rows(), self.processes.device):
            yield tensors, counts.pop(0)

    def _forget_gradients(self) -> None:
        for optimizer in self.tools.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def _log(self, loss: float, share: float, norm: float, speed: float) -> None:
        run, steps = self.config.run, self.config.schedule.steps
        if not self.processes.first or (self.step % run.log_every and self.step not in (1, steps)):
            return
        row: dict[str, Any] = {
            "step": self.step,
            "loss": loss,
            "lr": self.tools.optimizers[0].param_groups[0]["peak"] * share,
            "grad_norm": norm,
            "tokens": self.tokens,
            "tokens_per_second": round(speed, 1),
            "seconds": round(self._elapsed(), 3),
        }
        if self.peak_flops:
            row["utilisation"] = round(speed * self.flops_per_token / self.peak_flops, 4)
        self.folder.append_metrics(row)
        done = self.step - self._first_step
        left = (time.monotonic() - self._began) / done * (steps - self.step) if done else None
        self.tell({"event": "step", "steps": steps, "seconds_left": left, **row})

    # --- measuring ---------------------------------------------------------------------------------------

    def _look_back(self) -> None:
        """What was measured and sampled before this process was started."""
        self._first_step = self.step
        rows = self.folder.read_metrics()
        self._measured = {
            row["step"]: row["validation_loss"] for row in rows if is_number(row.get("validation_loss"))
        }
        self._sampled = {row["step"] for row in self.folder.read_samples()}

    def _evaluate_if_due(self) -> bool:
        """The validation loss, if it is due and not written down yet. Returns False if a stop was asked for meanwhile:
        it is then measured when the run goes on."""
        due = self.step >= self.config.schedule.steps or self.step % self.config.run.eval_every == 0
        if not due or self.step in self._measured:
            return True
        loss = self.validation_loss()
        if loss is None:
            return False
        guards.require_finite("validation loss", loss, self.step)
        extra = self._score()
        row = {"step": self.step, "validation_loss": loss, **self.task.report(loss), **extra}
        self._measured[self.step] = loss
        if self.processes.first:
            self.folder.append_metrics(row)
            self.tell({"event": "eval", **row})
        return True

    def _score(self) -> dict[str, float]:
        """Measures beside the loss. They may call a member's code, and are not worth the run."""
        try:
            return self.task.score(self.tools.model, self.processes.device)
        except Exception as error:
            text = f"no score at step {self.step}: {type(error).__name__}: {error}"
            self.tell({"event": "note", "text": text})
            return {}

    @torch.no_grad()
    def validation_loss(self) -> float | None:
        """Nats per counted target over the held-out data, each process taking its share. None: asked to stop."""
        if self._validation is None:
            self._validation = self.task.validation()
        model, (rank, world) = self.tools.model, (self.processes.rank, self.processes.world)
        was_training = model.training
        model.eval()
        totals = torch.zeros(2, dtype=torch.float64)
        try:
            # every process makes as many forward passes: a sharded model needs all of them each time
            for first in range(0, len(self._validation), world):
                if self._asked_to_stop():
                    return None
                batch = self._validation[min(first + rank, len(self._validation) - 1)]
                counted = batch.counted if first + rank < len(self._validation) else 0
                tensors = tuple(t.to(self.processes.device) for t in batch.tensors)
                with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.bfloat16):
                    loss = self.task.loss(model, tensors)
                totals += torch.tensor([float(loss) * counted, counted], dtype=torch.float64)
        finally:
            model.train(was_training)
        nats, counted = self.processes.sum(totals).tolist()
        if not counted:
            raise UsageError(
                "The held-out data has no target to predict.", "Give it more, or longer, examples."
            )
        return float(nats / counted)

    def _sample_if_due(self) -> None:
        run, last = self.config.run, self.step >= self.config.schedule.steps
        due = last or (run.sample_every and self.step and self.step % run.sample_every == 0)
        if not due or self.step in self._sampled:
            return
        self._sampled.add(self.step)
        try:
            sample = self.tools.sample(self.step)
        except Exception as error:  # perhaps a member's; a text to look at is not worth the run
            self.tell(
                {"event": "note", "text": f"no sample at step {self.step}: {type(error).__name__}: {error}"}
            )
            return
        if self.processes.first and sample is not None:
            prompt, text = sample
            row = {"step": self.step, "prompt": prompt, "text": text, "seed": self.config.run.seed}
            self.folder.append_sample(row)
            self.tell({"event": "sample", **row})

    # --- saving ------------------------------------------------------------------------------------------

    def _time_to_save(self) -> bool:
        minutes = (time.monotonic() - self._saved_at) / 60
        overdue = self.processes.any(minutes >= self.config.run.checkpoint_minutes)
        due = self.step % self.config.run.checkpoint_every == 0 or overdue
        return due and self.step > self._first_step

    def save(self) -> None:
        """Write a checkpoint of this state, unless there is one."""
        loss = self._measured.get(self.step, math.inf)
        if self.saved == self.step and loss == self.saved_loss:
            return
        self._saved_at = time.monotonic()
        began = time.perf_counter()
        tensors, numbers = saving.collect(self.tools.model, self.tools.optimizers)
        is_best = loss < math.inf and loss <= self.best_saved
        self.best_saved = min(loss, self.best_saved)
        state = {
            "step": self.step,
            "seconds": self._elapsed(),
            "optimizer_numbers": numbers,
            "sequences": self.step * self.config.batch.sequences,
            "tokens": self.tokens,
            "validation_loss": loss if loss < math.inf else None,
            "best_saved": self.best_saved if self.best_saved < math.inf else None,
        }
        self.saved, self.saved_loss = self.step, loss
        if self.processes.first:
            self.folder.require_ours()
            self.folder.sync_metrics()
        if self.config.hardware.parallel == "fsdp":
            saving.save_together(
                self.folder.checkpoints, self.step, tensors, state, self.processes,
                keep=self.config.run.keep, is_best=is_best,
            )  # fmt: skip
            seconds = time.perf_counter() - began
            self.tell({"event": "checkpoint", "step": self.step, "seconds": seconds, "stall": seconds})
        elif self.processes.first:
            self.writer.save(self.step, tensors, state, is_best=is_best, began=began)

    def _reserve(self) -> None:
        """The optimizer has its memory now: get that of a copy ready while training goes on."""
        if self.processes.first and self.config.hardware.parallel != "fsdp":
            self.writer.reserve(saving.collect(self.tools.model, self.tools.optimizers)[0])

    def _tell_saved(self) -> None:
        """What became safe on the disk since the last call. Raises what went wrong with a save meanwhile."""
        for saved in self.writer.finished():
            self.tell(
                {"event": "checkpoint", "step": saved.step, "seconds": saved.seconds, "stall": saved.stall}
            )

    def _elapsed(self) -> float:
        return self._seconds_before + time.monotonic() - self._began

    def _asked_to_stop(self) -> bool:
        return self.processes.any(self.stop.requested())


def is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def seed_everything(seed: int, step: int, rank: int) -> None:
    """The random numbers of one step, for dropout and for whatever a member's code draws."""
    digest = hashlib.sha256(f"{seed}:{step}:{rank}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    random.seed(digest)
    np.random.seed(int.from_bytes(digest[:4], "little"))
