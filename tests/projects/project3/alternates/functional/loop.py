"""The loop out of small functions."""

import functools
import itertools
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial, reduce

import torch
from data import get_batch
from loss import estimate_loss
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
    gradients = tuple(filter(lambda g: g is not None, map(lambda p: p.grad, params)))
    square = lambda g: torch.einsum("i,i->", g.reshape(-1), g.reshape(-1))  # noqa: E731
    norm = reduce(torch.add, map(square, gradients), torch.zeros(())).sqrt()
    if norm > max_norm:
        torch._foreach_mul_(list(gradients), float(max_norm / norm))
    return norm


@functools.cache
def contexts():
    return {
        "float32": lambda device: nullcontext(),
        "bfloat16": partial(torch.autocast, dtype=torch.bfloat16),
    }


def autocast_for(device_type, dtype):
    try:
        return contexts()[dtype](device_type)
    except KeyError:
        raise ValueError(f"unknown dtype {dtype}") from None


def accumulate(model, micro_batches, *, ignore_index=-100, dtype="float32"):
    counted = sum(map(lambda pair: (pair[1] != ignore_index).sum(), micro_batches))
    if counted == 0:
        raise ValueError("no targets")

    def one(pair):
        x, y = pair
        with autocast_for(x.device.type, dtype):
            logits = model(x)[0]
        wide = logits if logits.dtype == torch.float64 else logits.to(torch.float32)
        kept = y != ignore_index
        logp = torch.einsum("btv->btv", wide.log_softmax(-1)).gather(-1, (y * kept).unsqueeze(-1)).squeeze(-1)
        loss = -torch.einsum("bt,bt->", logp, kept.to(logp.dtype)) / counted
        loss.backward()
        return loss.detach()

    return float(sum(map(one, micro_batches)))


def train_step(model, optimizer, x, y, *, lr, micro_batch_size, max_norm, ignore_index=-100, dtype="float32"):
    starts = range(0, len(x), micro_batch_size)
    micro_batches = [(x[s : s + micro_batch_size], y[s : s + micro_batch_size]) for s in starts]
    for group in optimizer.param_groups:
        group.update(lr=lr)
    optimizer.zero_grad(set_to_none=False)
    loss = accumulate(model, micro_batches, ignore_index=ignore_index, dtype=dtype)
    norm = clip_grad_norm(model.parameters(), max_norm)
    optimizer.step()
    return dict(loss=loss, grad_norm=float(norm))


def train(config, model, train_data, val_data, *, callbacks=(), optimizer=None, generator=None, start_step=0):
    seeded = lambda: torch.Generator().manual_seed(config.seed)  # noqa: E731
    optimizer = optimizer or configure_optimizers(model, lr=config.max_lr, weight_decay=config.weight_decay)
    rate = partial(
        lr_at,
        max_lr=config.max_lr,
        min_lr=config.min_lr,
        warmup_steps=config.warmup_steps,
        max_steps=config.steps,
    )

    def stream(tokens, source):
        draw = partial(get_batch, tokens, config.batch_size, config.block_size)
        while True:
            yield draw(device=config.device, generator=source)

    def due(done):
        return config.eval_every > 0 and (done == config.steps or done % config.eval_every == 0)

    def validate():
        batches = itertools.islice(stream(val_data, seeded()), config.eval_batches)
        return estimate_loss(model, list(batches), config.eval_batches)["loss"]

    def one(step, batch):
        model.train()
        words = {"micro_batch_size": config.micro_batch_size, "max_norm": config.max_norm}
        numbers = train_step(model, optimizer, *batch, lr=rate(step), dtype=config.dtype, **words)
        value = {"val_loss": validate()} if due(step + 1) else {}
        row = {"step": step, "lr": rate(step), **numbers, **value}
        for callback in callbacks:
            callback(row)
        return row

    batches = stream(train_data, seeded() if generator is None else generator)
    rows = [one(step, next(batches)) for step in range(start_step, config.steps)]
    return TrainResult(
        [row["loss"] for row in rows], {r["step"] + 1: r["val_loss"] for r in rows if "val_loss" in r}
    )
