"""Brought to the member's code by the checks of `mlp`: dicts of leaves and generators, which cannot travel there."""

import torch


def leaves(values):
    return {name: value.clone().requires_grad_() for name, value in values.items()}


def state(params):
    """name -> (requires_grad, is a leaf)"""
    return {name: (p.requires_grad, p.is_leaf) for name, p in params.items()}


def start(sizes, seed, calls=1, noise=0):
    """For each of several calls of init in a row, with one generator: its values, and `state` of them."""
    from mlp import init

    torch.default_generator.manual_seed(noise)
    generator = torch.Generator().manual_seed(seed)
    made = [init(*sizes, generator) for _ in range(calls)]
    return [({name: p.detach().clone() for name, p in one.items()}, state(one)) for one in made]


def gradients(values, x, y):
    """name -> the gradient of the member's loss of the member's forward; None where there is none."""
    from mlp import forward, loss

    params = leaves(values)
    loss(forward(params, x), y).backward()
    return {name: p.grad for name, p in params.items()}


def steps(values, batches, lr):
    """Several calls of step, one for each batch: what each gave, all parameters after each, and `state` at the end."""
    from mlp import step

    params, said, after = leaves(values), [], []
    for x, y in batches:
        said.append(step(params, x, y, lr))
        after.append({name: p.detach().clone() for name, p in params.items()})
    kinds = sorted({type(value).__name__ for value in said})
    return [float(value) for value in said], kinds, after, state(params)
