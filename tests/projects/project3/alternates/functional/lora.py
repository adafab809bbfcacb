"""The update as one einsum; places are found by their paths."""

import torch
from torch import einsum, nn


class LoRALinear(nn.Module):
    def __init__(self, base, r, alpha, dropout=0.0):
        super().__init__()
        if r < 1:
            raise ValueError(f"rank {r}")
        size = {"dtype": base.weight.dtype, "device": base.weight.device}
        self.base = base
        base.requires_grad_(False)
        self.down = nn.Parameter((2 * torch.rand(r, base.in_features, **size) - 1) * base.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, r, **size))
        self.drop = nn.Dropout(dropout)
        self.factor = alpha / r

    def forward(self, x):
        return self.base(x) + einsum("...i,ri,or->...o", self.factor * self.drop(x), self.down, self.up)

    def delta(self):
        return einsum("or,ri->oi", self.up, self.down) * self.factor


def put(model, path, module):
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def apply_lora(model, *, r, alpha, targets, dropout=0.0):
    wanted = frozenset(targets)
    found = {
        path: module
        for path, module in model.named_modules()
        if type(module) is nn.Linear and path.split(".")[-1] in wanted
    }
    if not found:
        raise ValueError(f"nothing is called {sorted(wanted)}")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for path, module in found.items():
        put(model, path, LoRALinear(module, r, alpha, dropout))
    return model


def plain(layer):
    linear = nn.Linear(layer.base.in_features, layer.base.out_features, layer.base.bias is not None)
    linear.weight = nn.Parameter((layer.base.weight + layer.delta()).detach())
    linear.bias = layer.base.bias
    return linear


def merge_lora(model):
    adapted = {path: module for path, module in model.named_modules() if isinstance(module, LoRALinear)}
    for path, module in adapted.items():
        put(model, path, plain(module))
    return model


def lora_state(model):
    inside = {path for path, module in model.named_modules() if isinstance(module, LoRALinear)}
    return {
        name: value.clone()
        for name, value in model.state_dict().items()
        if name.rpartition(".")[0] in inside and not name.endswith("drop")
    }
