"""Matrices and torch, with names of its own."""

import itertools
import math

import torch
from torch import nn


def non_embedding_parameters(network):
    everything = {p.data_ptr(): p.numel() for p in network.parameters()}
    for layer in network.modules():
        if isinstance(layer, nn.Embedding):
            everything.pop(layer.weight.data_ptr(), None)
    return sum(everything.values())


def training_flops(size, length):
    forward = 2 * size * length
    return forward + 2 * forward


def tokens_for(budget, size):
    for value in (budget, size):
        if not value > 0:
            raise ValueError(f"{value} is not above 0")
    return budget / training_flops(size, 1)


def fitted(across, up):
    """Coefficients (2,), their covariance (2, 2), variance of the scatter."""
    if len(across) != len(up):
        raise ValueError("lengths")
    if len(across) < 3 or len(set(across)) < 2:
        raise ValueError("too few points")
    points = torch.tensor([list(across), list(up)], dtype=torch.float64)
    if not bool((points > 0).all()):
        raise ValueError("above 0")
    left, right = points.log()
    matrix = torch.stack([torch.ones_like(left), left], 1)
    inverse = torch.linalg.inv(matrix.T @ matrix)
    numbers = inverse @ matrix.T @ right
    scatter = (right - matrix @ numbers).square().sum() / (len(left) - 2)
    return numbers, scatter * inverse, scatter


def fit_power_law(across, up):
    numbers, covariance, _ = fitted(across, up)
    return numbers[1].item(), numbers[0].exp().item(), covariance[1, 1].sqrt().item()


def predict(across, up, at, *, t):
    numbers, covariance, scatter = fitted(across, up)
    if at <= 0:
        raise ValueError("at")
    place = torch.tensor([1.0, math.log(at)], dtype=torch.float64)
    middle = place @ numbers
    half = t * (scatter + place @ covariance @ place).sqrt()
    return [end.exp().item() for end in (middle, middle - half, middle + half)]


def fit_with_floor(across, up, *, steps=200):
    if len(across) <= 3 or not all(value > 0 for value in up):
        raise ValueError("points")
    lowest, found = None, None
    for number in range(steps):
        floor = number / steps * min(up)
        numbers, _, _ = fitted(across, [value - floor for value in up])
        scale, power = math.exp(numbers[0]), -float(numbers[1])
        misses = [value - floor - scale / place**power for place, value in zip(across, up)]
        total = math.fsum(miss**2 for miss in misses)
        if lowest is None or total < lowest:
            lowest, found = total, (floor, scale, power)
    return found


def best_size(sizes, losses):
    if len(sizes) != len(losses) or any(size <= 0 for size in sizes) or len({*sizes}) < 3:
        raise ValueError("sizes")
    logs = torch.tensor(sizes, dtype=torch.float64).log()
    middle, width = logs.mean(), logs.std()
    unit = (logs - middle) / width
    square, linear, _ = torch.linalg.pinv(torch.stack([unit**2, unit, unit**0], 1)) @ torch.tensor(
        losses, dtype=torch.float64
    )
    if square <= 0:
        raise ValueError("no valley")
    return (middle - width * linear / square / 2).exp()


def compute_optimal(runs):
    budgets, bests = [], []
    for budget, group in itertools.groupby(sorted(runs), key=lambda run: run[0]):
        group = list(group)
        budgets.append(budget)
        bests.append(float(best_size([size for _, size, _ in group], [loss for _, _, loss in group])))
    return fit_power_law(budgets, bests)
