"""Short: a partition in one pass, the schedule in one expression."""

from math import cos, pi

import torch


def configure_optimizers(model, *, lr, weight_decay=0.1, betas=(0.9, 0.95), fused=None):
    groups = {True: [], False: []}
    for p in model.parameters():
        if p.requires_grad:
            groups[p.ndim > 1].append(p)
    groups = [{"params": ps, "weight_decay": weight_decay * big} for big, ps in groups.items()]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=fused)


def lr_at(step, *, max_lr, min_lr, warmup_steps, max_steps):
    if not (0 <= warmup_steps <= max_steps and step >= 0 and min_lr <= max_lr):
        raise ValueError("the schedule makes no sense")
    done = min(max(step - warmup_steps, 0) / max(max_steps - warmup_steps, 1), 1.0) if step < max_steps else 1.0
    if step < warmup_steps:
        return (step + 1) / warmup_steps * max_lr
    return min_lr + (max_lr - min_lr) * (cos(pi * done) + 1) / 2
