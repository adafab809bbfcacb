"""The loop with what torch has ready."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from data import get_batch
from loss import estimate_loss
from schedule import configure_optimizers, lr_at
from torch import nn


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
    gradients = [p.grad for p in params if p.grad is not None]
    if not gradients:
        return torch.tensor(0.0)
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    torch._foreach_mul_(gradients, torch.clamp(max_norm / (norm + 1e-6), max=1.0))
    return norm


def autocast_for(device_type, dtype):
    if dtype == "float32":
        return nullcontext()
    if dtype != "bfloat16":
        raise ValueError(dtype)
    return torch.autocast(device_type=device_type, dtype=torch.bfloat16)


def accumulate(model, micro_batches, *, ignore_index=-100, dtype="float32"):
    targets = torch.cat([y.flatten() for _, y in micro_batches])
    counted = targets.ne(ignore_index).sum()
    if not counted:
        raise ValueError("nothing to learn from")
    criterion = nn.CrossEntropyLoss(ignore_index=ignore_index, reduction="sum")
    losses = []
    for x, y in micro_batches:
        with autocast_for(x.device.type, dtype):
            logits, _ = model(x)
            # Under autocast cross_entropy itself goes to float32.
            loss = criterion(logits.transpose(1, 2), y) / counted
        loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum().item()


def train_step(model, optimizer, x, y, *, lr, micro_batch_size, max_norm, ignore_index=-100, dtype="float32"):
    optimizer.zero_grad(set_to_none=True)
    pieces = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=micro_batch_size)
    loss = accumulate(model, list(map(tuple, pieces)), ignore_index=ignore_index, dtype=dtype)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=False)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return {"loss": loss, "grad_norm": norm.item()}


def train(config, model, train_data, val_data, *, callbacks=(), optimizer=None, generator=None, start_step=0):
    optimizer = optimizer or configure_optimizers(model, lr=config.max_lr, weight_decay=config.weight_decay)
    generator = generator or torch.Generator().manual_seed(config.seed)
    size = {"batch_size": config.batch_size, "block_size": config.block_size, "device": config.device}
    result = TrainResult()
    for step in range(start_step, config.steps):
        model.train()
        x, y = get_batch(train_data, generator=generator, **size)
        lr = lr_at(
            step,
            max_lr=config.max_lr,
            min_lr=config.min_lr,
            warmup_steps=config.warmup_steps,
            max_steps=config.steps,
        )
        row = train_step(
            model,
            optimizer,
            x,
            y,
            lr=lr,
            micro_batch_size=config.micro_batch_size,
            max_norm=config.max_norm,
            dtype=config.dtype,
        )
        row |= {"step": step, "lr": lr}
        result.losses.append(row["loss"])
        done = step + 1
        if config.eval_every and (done == config.steps or not done % config.eval_every):
            with torch.random.fork_rng(devices=[]):
                source = torch.Generator().manual_seed(config.seed)
                batches = [get_batch(val_data, generator=source, **size) for _ in range(config.eval_batches)]
                row["val_loss"] = estimate_loss(model, batches, config.eval_batches)["loss"]
            result.val_losses[done] = row["val_loss"]
        for callback in callbacks:
            callback(row)
    return result
