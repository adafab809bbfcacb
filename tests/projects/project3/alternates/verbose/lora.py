"""Plain names, one thing after another; matrices are stored as they are multiplied."""

import math

import torch
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base, r, alpha, dropout=0.0):
        super().__init__()
        if r < 1:
            raise ValueError("the rank must be at least 1")
        self.base = base
        for parameter in self.base.parameters():
            parameter.requires_grad = False
        self.rank = r
        self.alpha = alpha
        bound = 1.0 / math.sqrt(base.in_features)
        first_matrix = torch.empty(base.in_features, r, dtype=base.weight.dtype, device=base.weight.device)
        first_matrix.uniform_(-bound, bound)
        second_matrix = torch.zeros(r, base.out_features, dtype=base.weight.dtype, device=base.weight.device)
        self.matrix_a = nn.Parameter(first_matrix)  # (I, r)
        self.matrix_b = nn.Parameter(second_matrix)  # (r, O)
        self.dropout_probability = dropout

    def forward(self, x):
        from_the_base = self.base(x)
        entering = nn.functional.dropout(x, p=self.dropout_probability, training=self.training)
        narrow = torch.matmul(entering, self.matrix_a)
        wide = torch.matmul(narrow, self.matrix_b)
        return from_the_base + wide * self.alpha / self.rank


def find_layers(module, prefix, kind):
    """All (parent, name, child) of one kind, by walking the tree."""
    found = []
    for name, child in module.named_children():
        if isinstance(child, kind):
            found.append((module, name, child))
        else:
            found.extend(find_layers(child, prefix + name + ".", kind))
    return found


def apply_lora(model, *, r, alpha, targets, dropout=0.0):
    chosen = []
    for parent, name, child in find_layers(model, "", nn.Linear):
        if name in list(targets):
            chosen.append((parent, name, child))
    if len(chosen) == 0:
        raise ValueError("no layer has one of these names")
    for parameter in model.parameters():
        parameter.requires_grad = False
    for parent, name, child in chosen:
        adapter = LoRALinear(child, r, alpha, dropout)
        if isinstance(parent, nn.ModuleDict):
            parent[name] = adapter
        else:
            setattr(parent, name, adapter)
    return model


def merge_lora(model):
    for parent, name, adapter in find_layers(model, "", LoRALinear):
        old = adapter.base
        new = nn.Linear(
            old.in_features, old.out_features, bias=old.bias is not None, dtype=old.weight.dtype, device=old.weight.device
        )
        with torch.no_grad():
            product = torch.matmul(adapter.matrix_a, adapter.matrix_b)
            new.weight.copy_(old.weight + product.transpose(0, 1) * adapter.alpha / adapter.rank)
            if old.bias is not None:
                new.bias.copy_(old.bias)
        setattr(parent, name, new)
    return model


def lora_state(model):
    result = {}
    for path, module in model.named_modules():
        if isinstance(module, LoRALinear):
            result[path + ".matrix_a"] = module.matrix_a.detach().clone()
            result[path + ".matrix_b"] = module.matrix_b.detach().clone()
    return result
