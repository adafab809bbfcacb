"""Short, idiomatic torch: A and B are linear layers without a bias."""

import torch
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base, r, alpha, dropout=0.0):
        super().__init__()
        if r <= 0:
            raise ValueError("r")
        like = {"dtype": base.weight.dtype, "device": base.weight.device, "bias": False}
        self.base, self.scale = base.requires_grad_(False), alpha / r
        self.A, self.B = nn.Linear(base.in_features, r, **like), nn.Linear(r, base.out_features, **like)
        nn.init.zeros_(self.B.weight)  # A's own first numbers are U(-1/sqrt(in), 1/sqrt(in)) already
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        return self.base(x) + self.scale * self.B(self.A(self.drop(x)))


def apply_lora(model, *, r, alpha, targets, dropout=0.0):
    places = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and name in targets
    ]
    if not places:
        raise ValueError("no target")
    model.requires_grad_(False)
    for parent, name in places:
        setattr(parent, name, LoRALinear(getattr(parent, name), r, alpha, dropout))
    return model


@torch.no_grad()
def merge_lora(model):
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, LoRALinear):
                base = child.base
                base.weight = nn.Parameter(base.weight + child.scale * child.B.weight @ child.A.weight)
                setattr(parent, name, base)
    return model


def lora_state(model):
    return {n: p.detach() for n, p in model.named_parameters() if n.endswith((".A.weight", ".B.weight"))}
