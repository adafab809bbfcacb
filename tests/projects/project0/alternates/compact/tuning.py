"""As short as it goes."""

from math import exp, inf, isfinite, log

import torch
from modules import train


def collapse(w1, b1, w2, b2):
    return w1 @ w2, torch.addmv(b2, w2.T, b1)


def log_spaced(low, high, count):
    return [exp(log(low) + i * log(high / low) / (count - 1)) for i in range(count)]


def lr_range(make_model, ids, lrs, steps, batch_size, seed):
    g, k = torch.Generator(), steps // 10 or 1
    runs = [train(make_model(), ids, steps, batch_size, lr, g.manual_seed(seed))[-k:] for lr in lrs]
    return [m if isfinite(m := sum(r) / k) else inf for r in runs]


def pick_lr(lrs, losses):
    return min(((l, r) for r, l in zip(lrs, losses) if isfinite(l)))[1]


def table_size(vocab_size, context):
    return vocab_size**context * vocab_size


def parameter_count(model):
    return sum(p.nelement() for p in set(model.parameters()) if p.requires_grad)
