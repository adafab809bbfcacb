"""Names first, then groups; the schedule as three cases."""

import math

import torch
from optim import AdamW


def configure_optimizers(
    model: torch.nn.Module,
    *,
    lr: float,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    fused: bool | None = None,
) -> torch.optim.Optimizer:
    already_seen = set()
    parameters_that_decay = []
    parameters_that_do_not_decay = []
    for name, parameter in model.named_parameters():
        if id(parameter) in already_seen:
            continue
        already_seen.add(id(parameter))
        if not parameter.requires_grad:
            continue
        number_of_dimensions = len(parameter.shape)
        if number_of_dimensions == 0 or number_of_dimensions == 1:
            parameters_that_do_not_decay.append(parameter)
        else:
            parameters_that_decay.append(parameter)
    group_without_decay = {"params": parameters_that_do_not_decay, "weight_decay": 0.0}
    group_with_decay = {"params": parameters_that_decay, "weight_decay": weight_decay}
    return AdamW([group_without_decay, group_with_decay], lr=lr, betas=betas)


def lr_at(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, max_steps: int) -> float:
    if step < 0:
        raise ValueError("step must not be negative")
    if warmup_steps < 0:
        raise ValueError("warmup_steps must not be negative")
    if max_steps < 0:
        raise ValueError("max_steps must not be negative")
    if warmup_steps > max_steps:
        raise ValueError("the warm-up is longer than the run")
    if min_lr > max_lr:
        raise ValueError("min_lr is larger than max_lr")
    is_in_the_warmup = step < warmup_steps
    is_at_the_end = step >= max_steps
    if is_in_the_warmup:
        height_of_one_stair = max_lr / warmup_steps
        return height_of_one_stair * (step + 1)
    elif is_at_the_end:
        return min_lr
    else:
        length_of_the_cosine = max_steps - warmup_steps
        share_of_the_way = (step - warmup_steps) / length_of_the_cosine
        height = 0.5 * (1.0 + math.cos(math.pi * share_of_the_way))
        return height * max_lr + (1.0 - height) * min_lr
