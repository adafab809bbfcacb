"""Filters, closures, and sin squared in place of a cosine."""

import math

from optim import AdamW


def configure_optimizers(model, *, lr, weight_decay=0.1, betas=(0.9, 0.95), fused=None):
    trainable = tuple(filter(lambda p: p.requires_grad, model.parameters()))

    def group(rate, belongs):
        return dict(params=list(filter(belongs, trainable)), weight_decay=rate)

    return AdamW(
        (group(weight_decay, lambda p: p.dim() > 1), group(0.0, lambda p: p.dim() <= 1)), lr=lr, betas=betas
    )


def curve(max_lr, min_lr, warmup_steps, max_steps):
    span = max_steps - warmup_steps
    up = lambda s: max_lr * ((s + 1) / warmup_steps)  # noqa: E731
    down = lambda s: max_lr - (max_lr - min_lr) * math.sin(math.pi / 2 * (s - warmup_steps) / span) ** 2  # noqa: E731
    return lambda s: up(s) if s < warmup_steps else down(s) if s < max_steps else min_lr


def lr_at(step, *, max_lr, min_lr, warmup_steps, max_steps):
    wrong = [step < 0, warmup_steps < 0, max_steps < warmup_steps, max_lr < min_lr]
    if any(wrong):
        raise ValueError(f"what is wrong: {wrong}")
    return curve(max_lr, min_lr, warmup_steps, max_steps)(step)
