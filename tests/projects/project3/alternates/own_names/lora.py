"""Other names: the adapter is a module of its own beside the frozen matrix."""

import torch
from torch import nn


class Sidecar(nn.Module):
    """(..., I) -> (..., O), zero at first."""

    def __init__(self, wide, rank, tall, factor, drop, like):
        super().__init__()
        edge = wide**-0.5
        self.squeeze = nn.Parameter(torch.empty(rank, wide).to(like).uniform_(-edge, edge))
        self.stretch = nn.Parameter(torch.zeros(tall, rank).to(like))
        self.drop, self.factor = nn.Dropout(drop), factor

    def forward(self, x):
        return self.drop(x) @ self.squeeze.mT @ self.stretch.mT * self.factor

    def matrix(self):
        return self.factor * (self.stretch @ self.squeeze)


class LoRALinear(nn.Module):
    def __init__(self, base, r, alpha, dropout=0.0):
        super().__init__()
        if r < 1:
            raise ValueError("rank")
        self.frozen = base
        for weight in base.parameters():
            weight.requires_grad_(False)
        self.sidecar = Sidecar(base.in_features, r, base.out_features, alpha / r, dropout, base.weight)

    def forward(self, x):
        return self.sidecar(x) + self.frozen(x)


def swap(net, wanted, make):
    """Replace every child for which wanted(name, child) is true. How many there were."""
    count = 0
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if wanted(name, child):
                parent.add_module(name, make(child))
                count += 1
    return count


def apply_lora(net, *, r, alpha, targets, dropout=0.0):
    def wanted(name, child):
        return isinstance(child, nn.Linear) and name in targets

    if not any(wanted(path.rsplit(".", 1)[-1], module) for path, module in net.named_modules()):
        raise ValueError("no such layer")
    for weight in net.parameters():
        weight.requires_grad_(False)
    swap(net, wanted, lambda child: LoRALinear(child, r, alpha, dropout))
    return net


def unite(layer):
    with torch.no_grad():
        layer.frozen.weight = nn.Parameter(layer.frozen.weight + layer.sidecar.matrix())
    return layer.frozen


def merge_lora(net):
    swap(net, lambda name, child: isinstance(child, LoRALinear), unite)
    return net


def lora_state(net):
    return {name: value for name, value in net.state_dict().items() if ".sidecar." in name}
