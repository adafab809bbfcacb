"""The loop, short."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from data import get_batch
from loss import cross_entropy, estimate_loss
from schedule import configure_optimizers, lr_at


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
    grads = [p.grad for p in params if p.grad is not None]
    norm = torch.cat([g.flatten() for g in grads]).norm() if grads else torch.zeros(())
    factor = (max_norm / (norm + 1e-6)).clamp(max=1)
    for g in grads:
        g *= factor
    return norm


def autocast_for(device_type, dtype):
    kinds = {"bfloat16": lambda: torch.autocast(device_type, torch.bfloat16), "float32": nullcontext}
    if dtype not in kinds:
        raise ValueError(dtype)
    return kinds[dtype]()


def accumulate(model, micro_batches, *, ignore_index=-100, dtype="float32"):
    counts = [int((y != ignore_index).sum()) for _, y in micro_batches]
    if not sum(counts):
        raise ValueError("nothing counts")
    total = 0.0
    for (x, y), count in zip(micro_batches, counts, strict=True):
        with autocast_for(x.device.type, dtype):
            logits = model(x)[0]
        loss = cross_entropy(logits, y, ignore_index) * (count / sum(counts))
        loss.backward()
        total += loss.item()
    return total


def train_step(model, optimizer, x, y, *, lr, micro_batch_size, max_norm, ignore_index=-100, dtype="float32"):
    optimizer.zero_grad()
    pairs = [*zip(x.split(micro_batch_size), y.split(micro_batch_size), strict=True)]
    loss = accumulate(model, pairs, ignore_index=ignore_index, dtype=dtype)
    norm = clip_grad_norm(model.parameters(), max_norm).item()
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return {"loss": loss, "grad_norm": norm}


def train(config, model, train_data, val_data, *, callbacks=(), optimizer=None, generator=None, start_step=0):
    c, result = config, TrainResult()
    optimizer = optimizer or configure_optimizers(model, lr=c.max_lr, weight_decay=c.weight_decay)
    generator = generator or torch.Generator().manual_seed(c.seed)
    for step in range(start_step, c.steps):
        model.train()
        x, y = get_batch(train_data, c.batch_size, c.block_size, device=c.device, generator=generator)
        rates = {k: getattr(c, k) for k in ("max_lr", "min_lr", "warmup_steps")}
        lr = lr_at(step, max_steps=c.steps, **rates)
        words = {"micro_batch_size": c.micro_batch_size, "max_norm": c.max_norm, "dtype": c.dtype}
        row = {"step": step, "lr": lr, **train_step(model, optimizer, x, y, lr=lr, **words)}
        result.losses.append(row["loss"])
        if c.eval_every and ((step + 1) % c.eval_every == 0 or step + 1 == c.steps):
            g = torch.Generator().manual_seed(c.seed)
            some = [
                get_batch(val_data, c.batch_size, c.block_size, device=c.device, generator=g)
                for _ in range(c.eval_batches)
            ]
            row["val_loss"] = result.val_losses[step + 1] = estimate_loss(model, some, c.eval_batches)["loss"]
        for callback in callbacks:
            callback(row)
    return result
