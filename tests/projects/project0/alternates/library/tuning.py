"""On torch's own functions, and the standard library's."""

import math

import torch
from modules import train
from torch import nn
from torch.nn.utils import parameters_to_vector


def collapse(w1, b1, w2, b2):
    return torch.linalg.multi_dot([w1, w2]), nn.functional.linear(b1, w2.T, b2)


def log_spaced(low, high, count):
    return torch.logspace(math.log10(low), math.log10(high), count, dtype=torch.float64).tolist()


def lr_range(make_model, ids, lrs, steps, batch_size, seed):
    tail = max(1, steps // 10)
    runs = torch.tensor(
        [train(make_model(), ids, steps, batch_size, lr, torch.Generator().manual_seed(seed)) for lr in lrs],
        dtype=torch.float64,
    )
    return runs[:, -tail:].mean(dim=1).nan_to_num(nan=math.inf, posinf=math.inf, neginf=math.inf).tolist()


def pick_lr(lrs, losses):
    values = torch.tensor(losses, dtype=torch.float64).nan_to_num(nan=math.inf, posinf=math.inf)
    if values.isinf().all():
        raise ValueError("no finite loss")
    return lrs[values.argmin().item()]


def table_size(vocab_size, context):
    return math.prod([vocab_size] * (context + 1))


def parameter_count(model):
    return parameters_to_vector(p for p in model.parameters() if p.requires_grad).numel()
