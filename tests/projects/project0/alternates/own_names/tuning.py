"""With names of one's own."""

from __future__ import annotations

import math

import modules
import torch


def collapse(w1, b1, w2, b2):
    zero = torch.zeros(1, w1.size(0), dtype=w1.dtype)
    units = torch.eye(w1.size(0), dtype=w1.dtype)

    def through_both(x):
        return (x @ w1 + b1) @ w2 + b2

    shift = through_both(zero).squeeze(0)
    return through_both(units) - shift, shift


def log_spaced(low, high, count):
    rates = [float(low)]
    ratio = (high / low) ** (1.0 / (count - 1))
    while len(rates) < count:
        rates.append(rates[-1] * ratio)
    return rates


def lr_range(make_model, ids, lrs, steps, batch_size, seed):
    outcome = []
    for rate in lrs:
        dice = torch.Generator()
        dice.manual_seed(seed)
        diary = modules.train(make_model(), ids, steps, batch_size, rate, dice)
        last = diary[-max(steps // 10, 1) :]
        verdict = math.fsum(last) / len(last) if all(map(math.isfinite, last)) else float("inf")
        outcome.append(verdict)
    return outcome


def pick_lr(lrs, losses):
    best, its_rate = math.inf, None
    for rate, cost in zip(lrs, losses, strict=True):
        if cost < best:
            best, its_rate = cost, rate
    if its_rate is None:
        raise ValueError("all runs broke")
    return its_rate


def table_size(vocab_size, context):
    return pow(vocab_size, 1 + context)


def parameter_count(model):
    seen, total = set(), 0
    for _, weight in model.named_parameters():
        if weight.requires_grad and id(weight) not in seen:
            seen.add(id(weight))
            total += math.prod(weight.shape)
    return total
