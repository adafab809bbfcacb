"""Leans on torch: initialisation from nn.init, the update through F.linear and torch.addmm."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base, r, alpha, dropout=0.0):
        super().__init__()
        if r < 1:
            raise ValueError("r must be positive")
        self.base = base.requires_grad_(False)
        self.r, self.alpha = r, alpha
        self.weights = nn.ParameterDict(
            {
                "a": nn.init.kaiming_uniform_(torch.empty_like(base.weight[:1]).repeat(r, 1), a=math.sqrt(5)),
                "b": torch.zeros_like(base.weight[:, :1]).repeat(1, r),
            }
        )
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x):
        low = F.linear(self.dropout(x), self.weights["a"])
        return torch.add(self.base(x), F.linear(low, self.weights["b"]), alpha=self.alpha / self.r)


def apply_lora(model, *, r, alpha, targets, dropout=0.0):
    linear = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    chosen = [path for path in linear if path.split(".")[-1] in set(targets)]
    if len(chosen) == 0:
        raise ValueError(f"{list(targets)} match no layer")
    for parameter in model.parameters():
        parameter.requires_grad = False
    for path in chosen:
        model.set_submodule(path, LoRALinear(model.get_submodule(path), r, alpha, dropout))
    return model


@torch.no_grad()
def merge_lora(model):
    adapters = {path: module for path, module in model.named_modules() if isinstance(module, LoRALinear)}
    for path, adapter in adapters.items():
        base, (a, b) = adapter.base, (adapter.weights["a"], adapter.weights["b"])
        base.weight = nn.Parameter(torch.addmm(base.weight, b, a, alpha=adapter.alpha / adapter.r))
        model.set_submodule(path, base)
    return model


def lora_state(model):
    return {
        f"{path}.weights.{name}": value.data
        for path, module in model.named_modules()
        if isinstance(module, LoRALinear)
        for name, value in module.weights.items()
    }
