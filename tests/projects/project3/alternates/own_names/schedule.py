"""A class for the schedule, and groups that begin empty."""

import math
from dataclasses import dataclass

import optim


@dataclass(frozen=True)
class Plan:
    top: float
    bottom: float
    climb: int
    length: int

    def __post_init__(self):
        if self.climb < 0 or self.length < self.climb or self.bottom > self.top:
            raise ValueError(self)

    def at(self, n):
        if n < 0:
            raise ValueError(n)
        if n < self.climb:
            return self.top * (n + 1) / self.climb
        rest = self.length - self.climb
        gone = min(n - self.climb, rest)
        angle = math.pi * gone / rest if rest and gone < rest else math.pi
        middle, swing = (self.top + self.bottom) / 2, (self.top - self.bottom) / 2
        return middle + swing * math.cos(angle)


def configure_optimizers(model, *, lr, weight_decay=0.1, betas=(0.9, 0.95), fused=None):
    shrinking, staying = [], []
    for weight in dict.fromkeys(model.parameters()):
        if weight.requires_grad:
            (staying if weight.dim() in (0, 1) else shrinking).append(weight)
    optimizer = optim.AdamW(shrinking, lr, betas, weight_decay=weight_decay)
    optimizer.add_param_group({"params": staying, "weight_decay": 0})
    return optimizer


def lr_at(step, *, max_lr, min_lr, warmup_steps, max_steps):
    return Plan(max_lr, min_lr, warmup_steps, max_steps).at(step)
