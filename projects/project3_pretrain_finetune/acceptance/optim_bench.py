"""Brought to the member's side, and used by the judge with torch's own AdamW too: parameters and the steps they take."""

import copy

import torch
from torch import nn


class Leaves:
    """Parameters with these values; an optimizer can iterate over them. frozen: places that need no gradient."""

    def __init__(self, values, frozen=()):
        self.leaves = [nn.Parameter(value.clone(), i not in frozen) for i, value in enumerate(values)]

    def __iter__(self):
        return iter(self.leaves)

    def some(self, *places):
        """Only these, the same parameters."""
        part = Leaves([])
        part.leaves = [self.leaves[place] for place in places]
        return part


def again(leaves):
    """Other parameters with the same values."""
    return Leaves([leaf.detach() for leaf in leaves])


def values(leaves):
    """All numbers in one row."""
    return torch.cat([leaf.detach().flatten() for leaf in leaves])


def gradients(leaves):
    """All gradients in one row; where there is none, zeros."""
    zeros = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    return torch.cat([gradient.flatten() for gradient in zeros]).clone()


def train(leaves, optimizer, steps, changes=None):
    """One step for each row of `steps`, which holds a gradient, or None, for each parameter.

    changes: number of a step -> a list of (number of a group, option, value), written before that step.
    Returns the values after each step, (number of steps, all numbers).
    """
    rows = []
    for number, row in enumerate(steps):
        for group, option, value in (changes or {}).get(number, []):
            optimizer.param_groups[group][option] = value
        for leaf, gradient in zip(leaves, row, strict=True):
            leaf.grad = None if gradient is None else gradient.clone()
        optimizer.step()
        rows.append(values(leaves).clone())
    return torch.stack(rows)


def hand_over(old, new):
    """What a checkpoint does: the state of one optimizer for another one, as a copy."""
    new.load_state_dict(copy.deepcopy(old.state_dict()))


def step_with_closure(leaves, optimizer):
    """The closure's loss is the sum of all squares. Returns what step() returned, as a number, and the calls made."""
    calls = []

    def closure():
        calls.append(torch.is_grad_enabled())
        for leaf in leaves:
            leaf.grad = None
        loss = sum((leaf**2).sum() for leaf in leaves)
        if calls[-1]:
            loss.backward()
        return loss

    returned = optimizer.step(closure)
    return None if returned is None else float(returned), calls
