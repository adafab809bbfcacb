"""Expressions only, as far as it goes."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import statistics

import torch
from modules import train


def collapse(w1, b1, w2, b2):
    return torch.einsum("ih,ho->io", w1, w2), torch.einsum("h,ho->o", b1, w2).add(b2)


def log_spaced(low, high, count):
    ratio = math.exp((math.log(high) - math.log(low)) / (count - 1))
    return list(itertools.accumulate([ratio] * (count - 1), operator.mul, initial=float(low)))


def _run(make_model, ids, steps, batch_size, seed, lr):
    return train(make_model(), ids, steps, batch_size, lr, torch.Generator().manual_seed(seed))


def lr_range(make_model, ids, lrs, steps, batch_size, seed):
    run = functools.partial(_run, make_model, ids, steps, batch_size, seed)
    ends = ([value if math.isfinite(value) else math.inf for value in run(lr)[-max(1, steps // 10) :]] for lr in lrs)
    return [statistics.fmean(end) for end in ends]


def pick_lr(lrs, losses):
    finite = [index for index, value in enumerate(losses) if math.isfinite(value)]
    if not finite:
        raise ValueError("no finite loss")
    return lrs[min(finite, key=losses.__getitem__)]


def table_size(vocab_size, context):
    return functools.reduce(operator.mul, itertools.repeat(vocab_size, context + 1), 1)


def parameter_count(model):
    return sum(map(torch.numel, filter(operator.attrgetter("requires_grad"), model.parameters())))
