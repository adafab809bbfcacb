"""With loops, as one would do it by hand."""

import math

import torch
from modules import train


def collapse(w1, b1, w2, b2):
    n_in, n_hidden = w1.shape
    n_out = w2.shape[1]
    w = torch.zeros(n_in, n_out, dtype=w1.dtype)
    b = torch.zeros(n_out, dtype=w1.dtype)
    for o in range(n_out):
        b[o] = b2[o]
        for h in range(n_hidden):
            b[o] += b1[h] * w2[h, o]
            for i in range(n_in):
                w[i, o] += w1[i, h] * w2[h, o]
    return w, b


def log_spaced(low, high, count):
    rates = []
    for i in range(count):
        exponent = math.log10(low) + (math.log10(high) - math.log10(low)) * i / (count - 1)
        rates.append(10**exponent)
    return rates


def lr_range(make_model, ids, lrs, steps, batch_size, seed):
    results = []
    for lr in lrs:
        model = make_model()
        generator = torch.Generator()
        generator.manual_seed(seed)
        losses = train(model, ids, steps, batch_size, lr, generator)
        k = steps // 10
        if k < 1:
            k = 1
        total = 0.0
        for i in range(steps - k, steps):
            total += losses[i]
        mean = total / k
        if math.isnan(mean) or math.isinf(mean):
            mean = math.inf
        results.append(mean)
    return results


def pick_lr(lrs, losses):
    best = None
    for i in range(len(lrs)):
        if math.isnan(losses[i]) or math.isinf(losses[i]):
            continue
        if best is None or losses[i] < losses[best]:
            best = i
    if best is None:
        raise ValueError("nothing to pick from")
    return lrs[best]


def table_size(vocab_size, context):
    cells = 1
    for _ in range(context + 1):
        cells *= vocab_size
    return cells


def parameter_count(model):
    total = 0
    for p in model.parameters():
        if p.requires_grad:
            n = 1
            for size in p.shape:
                n *= size
            total += n
    return total
