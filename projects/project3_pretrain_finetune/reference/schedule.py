"""Which parameters decay, and how large the steps are.    Step: schedule

Sources: nanoGPT, model.py, configure_optimizers, https://github.com/karpathy/nanoGPT/blob/master/model.py; Loshchilov
and Hutter 2017, section 3 (the cosine), https://arxiv.org/abs/1608.03983; Brown et al. 2020, appendix B (warm-up, then
a cosine down to a tenth), https://arxiv.org/abs/2005.14165.
"""

from __future__ import annotations

import math

import torch
from optim import AdamW
from torch import nn


def configure_optimizers(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    fused: bool | None = None,
) -> torch.optim.Optimizer:
    """AdamW over the parameters of `model` in two groups: one that decays, and one that does not.

    What has two or more dimensions, i.e. matrices and embeddings, decays by `weight_decay`. Biases and the gains of
    norms have one dimension; their group has weight_decay 0. A parameter with two names (tied) is there once; one with
    requires_grad=False is in no group. lr, betas and AdamW's own eps of 1e-8 hold for both groups.

    The optimizer is your own AdamW or torch's. `fused` asks for torch's kernel that does a whole step at once, which is
    fast on a GPU; None leaves the choice to you. It changes the speed, and the values only by rounding.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]  # a tied one comes once
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    if fused:
        return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)
    return AdamW(groups, lr=lr, betas=betas)


def lr_at(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, max_steps: int) -> float:
    """The learning rate of step number `step`; the first step has the number 0.

    step < warmup_steps:  max_lr * (step + 1) / warmup_steps. So step 0 has max_lr / warmup_steps, not 0, and step
                          warmup_steps - 1 has max_lr.
    up to max_steps:      half a cosine, from max_lr at step warmup_steps down to min_lr at step max_steps.
    from max_steps on:    min_lr.

    warmup_steps may be 0 (the cosine begins at once) and may equal max_steps (there is no cosine). Raises ValueError if
    step, warmup_steps or max_steps is negative, if warmup_steps is above max_steps, or min_lr above max_lr.
    """
    if step < 0 or warmup_steps < 0 or max_steps < 0:
        raise ValueError(
            f"step {step}, warmup_steps {warmup_steps}, max_steps {max_steps}: none may be negative"
        )
    if warmup_steps > max_steps:
        raise ValueError(f"warmup_steps {warmup_steps} is above max_steps {max_steps}")
    if min_lr > max_lr:
        raise ValueError(f"min_lr {min_lr} is above max_lr {max_lr}")
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    if step >= max_steps:
        return min_lr
    progress = (step - warmup_steps) / (max_steps - warmup_steps)  # 0 up to, not including, 1
    return min_lr + 0.5 * (max_lr - min_lr) * (1 + math.cos(math.pi * progress))
