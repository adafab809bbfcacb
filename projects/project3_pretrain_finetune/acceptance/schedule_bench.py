"""Brought to the member's side: a small model with every kind of parameter, and a look at an optimizer's groups."""

import torch
from torch import nn


class Small(nn.Module):
    """Embeddings of tokens and positions, a norm, two linear layers of which one is frozen, and a head that is tied."""

    def __init__(self, V=7, T=5, C=4):
        super().__init__()
        self.tokens = nn.Embedding(V, C)
        self.positions = nn.Parameter(torch.randn(1, T, C))
        self.norm = nn.LayerNorm(C)
        self.up = nn.Linear(C, 3)
        self.frozen = nn.Linear(3, C).requires_grad_(False)
        self.head = nn.Linear(C, V, bias=False)
        self.head.weight = self.tokens.weight
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.conv = nn.Conv1d(2, 3, 2)


def fill(model, values):
    """Write these numbers into the parameters, one after another."""
    place = 0
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(values[place : place + parameter.numel()].view_as(parameter))
            place += parameter.numel()


def decays(model, optimizer):
    """Name of each parameter that is in a group -> the weight_decay of each place where it is."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            found.setdefault(names[id(parameter)], []).append(float(group["weight_decay"]))
    return dict(sorted(found.items()))


def options(optimizer):
    """lr and betas of each group."""
    return [
        (float(group["lr"]), tuple(float(beta) for beta in group["betas"]))
        for group in optimizer.param_groups
    ]


def steps(model, optimizer, gradients):
    """One step for each item of `gradients`: all gradients in one row, or None for zeros. The values after it.

    Frozen parameters get no gradient. The result is {name: value}.
    """
    for row in gradients:
        place = 0
        for parameter in model.parameters():
            part = None if row is None else row[place : place + parameter.numel()].view_as(parameter)
            place += parameter.numel()
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter) if part is None else part.clone()
        optimizer.step()
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
