"""Small models for the checks of `quantise`, built beside the member's code and, with the same weights, by the judge.

V = 11 tokens, C = 6 channels, at most 8 tokens.
"""

import torch
from torch import nn


class Network(nn.Module):
    """Linear layers at three depths, one of them in two places; a head that is tied or not. (B, T) -> (B, T, 11)."""

    def __init__(self, tied):
        super().__init__()
        self.table, self.positions = nn.Embedding(11, 6), nn.Embedding(8, 6)
        self.first = nn.Linear(6, 6)
        self.layers = nn.ModuleList(nn.ModuleDict({"norm": nn.LayerNorm(6), "mlp": mlp()}) for _ in range(2))
        self.again = self.first
        self.head = nn.Linear(6, 11, bias=False)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, ids):
        x = self.first(self.table(ids) + self.positions(torch.arange(ids.size(1))))
        for layer in self.layers:
            x = x + layer["mlp"](layer["norm"](x))
        return self.head(self.again(torch.tanh(x)))


def mlp():
    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 6, bias=False))


class Shelf(nn.Module):
    """Tensors of all kinds, some of them in two places."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 4))
        self.twin = self.weight
        self.short = nn.Parameter(torch.ones(5, dtype=torch.bfloat16))
        self.frozen = nn.Parameter(torch.ones(2, dtype=torch.float64), requires_grad=False)
        self.register_buffer("codes", torch.ones(3, 5, dtype=torch.int8))
        self.register_buffer("others", torch.ones(1, 3, dtype=torch.int8))
        self.inner = nn.Linear(2, 3)
        self.inner.register_buffer("same_codes", self.codes)
        self.inner.register_buffer("mask", torch.ones(7, dtype=torch.bool), persistent=False)
        self.register_buffer("nothing", None)


def kinds(model):
    """Name -> kind of every module, those in two places twice."""
    return {
        name: type(module).__name__ for name, module in model.named_modules(remove_duplicate=False) if name
    }


def same(one, other):
    return one is other


def one_layer_in_two_places(model):
    return model.first is model.again


def head_is_tied(model):
    """By one matrix in floating point."""
    return getattr(model.head, "weight", 0) is getattr(model.table, "weight", 1)


def shared_buffers(model):
    """How many tensors of the head are also the table's, and how many the table has."""
    ours, theirs = list(model.head.buffers()), list(model.table.buffers())
    return [sum(any(a.data_ptr() == b.data_ptr() for b in theirs) for a in ours), len(theirs)]


def values(model):
    """Every parameter by name, as a copy."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def overwrite(model, value):
    """Every number of every parameter and floating-point buffer becomes `value`."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())):
            tensor.fill_(value)
