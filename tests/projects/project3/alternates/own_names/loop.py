"""Training, with the work in gradients.py."""

from dataclasses import dataclass, field

import data as reading
import gradients
import loss as measuring
import schedule as pacing
import torch


@dataclass
class TrainConfig:
    """What a run needs to know, apart from the model and the data. Given complete."""

    steps: int  # optimizer steps of the whole run
    batch_size: int  # B: sequences of one optimizer step
    micro_batch_size: int  # sequences of one forward pass; less memory, same result
    block_size: int  # T: tokens of a sequence
    max_lr: float = 6e-4
    min_lr: float = 6e-5
    warmup_steps: int = 0
    weight_decay: float = 0.1
    max_norm: float = 1.0  # gradients are clipped to this length
    dtype: str = "float32"  # or "bfloat16": what the forward pass computes in
    device: str = "cpu"
    seed: int = 0  # of the order of the data
    eval_every: int = 0  # steps between two evaluations; 0: none
    eval_batches: int = 1  # batches of one evaluation


@dataclass
class TrainResult:
    """What came of a run. Given complete."""

    losses: list[float] = field(default_factory=list)  # of each step that this call made, in order
    val_losses: dict[int, float] = field(default_factory=dict)  # steps done -> validation loss


def clip_grad_norm(params, max_norm):
    found = [w.grad for w in params if w.grad is not None]
    return gradients.shorten(found, max_norm) if found else torch.zeros(())


def autocast_for(device_type, dtype):
    return gradients.Precision(device_type, dtype)


def accumulate(model, micro_batches, *, ignore_index=-100, dtype="float32"):
    return gradients.Adder(model, ignore_index, dtype).run(micro_batches)


def train_step(model, optimizer, x, y, *, lr, micro_batch_size, max_norm, ignore_index=-100, dtype="float32"):
    model.zero_grad()
    number = -(-len(x) // micro_batch_size)
    parts = [
        (x[i * micro_batch_size :][:micro_batch_size], y[i * micro_batch_size :][:micro_batch_size])
        for i in range(number)
    ]
    nats = accumulate(model, parts, ignore_index=ignore_index, dtype=dtype)
    before = clip_grad_norm(model.parameters(), max_norm)
    for family in optimizer.param_groups:
        family["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return {"loss": nats, "grad_norm": before.item()}


class Trainer:
    def __init__(self, plan, network, stepper, dice):
        self.plan, self.network = plan, network
        self.dice = dice if dice is not None else self.new_dice()
        self.stepper = stepper
        if self.stepper is None:
            self.stepper = pacing.configure_optimizers(
                network, lr=plan.max_lr, weight_decay=plan.weight_decay
            )

    def new_dice(self):
        dice = torch.Generator("cpu")
        dice.manual_seed(self.plan.seed)
        return dice

    def windows(self, tokens, dice):
        return reading.get_batch(
            tokens, self.plan.batch_size, self.plan.block_size, device=self.plan.device, generator=dice
        )

    def pace(self, number):
        plan = self.plan
        return pacing.lr_at(
            number,
            max_lr=plan.max_lr,
            min_lr=plan.min_lr,
            warmup_steps=plan.warmup_steps,
            max_steps=plan.steps,
        )

    def learn(self, number, tokens):
        self.network.train()
        question, answer = self.windows(tokens, self.dice)
        pace = self.pace(number)
        seen = train_step(
            self.network,
            self.stepper,
            question,
            answer,
            lr=pace,
            micro_batch_size=self.plan.micro_batch_size,
            max_norm=self.plan.max_norm,
            dtype=self.plan.dtype,
        )
        return {"step": number, "lr": pace} | seen

    def examine(self, tokens):
        dice = self.new_dice()
        exam = iter([self.windows(tokens, dice) for _ in range(self.plan.eval_batches)])
        return measuring.estimate_loss(self.network, exam, self.plan.eval_batches)["loss"]

    def is_exam_day(self, done):
        every = self.plan.eval_every
        return every > 0 and (done % every == 0 or done == self.plan.steps)


def train(config, model, train_data, val_data, *, callbacks=(), optimizer=None, generator=None, start_step=0):
    trainer = Trainer(config, model, optimizer, generator)
    diary = TrainResult()
    for number in range(start_step, config.steps):
        entry = trainer.learn(number, train_data)
        diary.losses.append(entry["loss"])
        if trainer.is_exam_day(number + 1):
            entry["val_loss"] = trainer.examine(val_data)
            diary.val_losses[number + 1] = entry["val_loss"]
        for listener in callbacks:
            listener(entry)
    return diary
