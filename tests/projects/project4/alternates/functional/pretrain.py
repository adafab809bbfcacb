"""Step pretrain with torch.func where it fits, and torch's functional AdamW."""

import math
from functools import reduce

import torch
import torch.nn.functional as F
from torch.optim.adamw import adamw


def accumulation_steps(batch_tokens, sequences, context, processes=1):
    at_once = math.prod((sequences, context, processes))
    if batch_tokens not in range(at_once, batch_tokens + 1, at_once):
        raise ValueError(f"{batch_tokens} / {at_once}")
    return batch_tokens // at_once


def bits_per_byte(loss, tokens, n_bytes):
    return loss * tokens / (n_bytes * math.log(2))


def bigram_loss(train, held_out, vocab_size, *, alpha=0.1):
    a, b = train[:-1], train[1:]
    x, y = held_out[:-1, None], held_out[1:, None]
    first = x == a  # (M - 1, N - 1): which pairs of train begin as this one does
    both = first & (y == b)
    p = (both.sum(1) + alpha) / (first.sum(1) + alpha * vocab_size)
    return -torch.log(p.to(torch.float64)).mean().item()


def _in_eval(model, function):
    was = model.training
    model.eval()
    result = function()
    model.train(was)
    return result


def _sum_of_losses(model, x, y):
    logits = model(x)[0]
    return F.nll_loss(F.log_softmax(logits, -1).flatten(0, 1), y.flatten(), reduction="sum").item()


def validation_loss(model, ids, *, context=None, batch_size=8):
    n = len(ids) - 1
    size = context or model.config.block_size
    table = lambda t: [rows for rows in t[: n - n % size].view(-1, size).split(batch_size) if len(rows)]
    rest = lambda t: [t[None, n - n % size :]] if n % size else []
    pairs = zip(table(ids[:-1]) + rest(ids[:-1]), table(ids[1:]) + rest(ids[1:]))
    with torch.no_grad():
        return _in_eval(model, lambda: sum(_sum_of_losses(model, x, y) for x, y in pairs)) / n


def _rate(n, top, W, steps):
    wave = lambda: 0.1 + 0.45 * (1 + math.cos(math.pi * (n - W) / max(1, steps - 1 - W)))
    return top * ((n + 1) / W if n < W else wave())


def pretrain(
    model,
    ids,
    *,
    steps,
    batch_tokens,
    micro_sequences,
    learning_rate,
    warmup_steps,
    weight_decay=0.1,
    clip_norm=1.0,
    generator=None,
):
    T = model.config.block_size
    count = accumulation_steps(batch_tokens, micro_sequences, T)
    parts = {True: [p for p in model.parameters() if p.ndim > 1], False: [p for p in model.parameters() if p.ndim <= 1]}
    parameters = parts[True] + parts[False]
    zeros = {many: [[torch.zeros_like(p) for p in ps] for _ in range(2)] for many, ps in parts.items()}
    clocks = {many: [torch.tensor(0.0) for _ in ps] for many, ps in parts.items()}
    model.train()

    def one(_):
        s = (torch.rand(micro_sequences, generator=generator, dtype=torch.float64) * (len(ids) - T)).long()
        at = s[:, None] + torch.arange(T)
        loss = model(ids[at], ids[at + 1])[1]
        return loss.detach(), torch.autograd.grad(loss, parameters)

    def step(n):
        losses, gradients = zip(*map(one, range(count)))
        mean = [sum(gs) / count for gs in zip(*gradients)]
        norm = reduce(torch.hypot, [g.norm() for g in mean])
        mean = dict(zip(parameters, [g * (clip_norm / norm).clamp(max=1) for g in mean]))
        for many, ps in parts.items():
            torch.no_grad()(adamw)(
                ps,
                [mean[p] for p in ps],
                *zeros[many],
                [],
                clocks[many],
                amsgrad=False,
                beta1=0.9,
                beta2=0.95,
                lr=_rate(n, learning_rate, warmup_steps, steps),
                weight_decay=weight_decay * many,
                eps=1e-8,
                maximize=False,
            )
        return sum(losses).item() / count

    with torch.enable_grad():
        return list(map(step, range(steps)))
