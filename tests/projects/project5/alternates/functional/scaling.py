"""Lines by a QR decomposition, all floors at once, and a parabola of orthogonal polynomials."""

import math

import torch
from torch import nn


def non_embedding_parameters(model):
    tables = nn.ModuleList(part for part in model.modules() if isinstance(part, nn.Embedding))
    whole, out = (sum(math.prod(p.shape) for p in part.parameters()) for part in (model, tables))
    return whole - out


def training_flops(n_params, tokens):
    return 2 * n_params * tokens + 4 * n_params * tokens


def tokens_for(flops, n_params):
    if not flops > 0 or not n_params > 0:
        raise ValueError(f"C = {flops}, N = {n_params}")
    per_token = 2.0 * n_params + 4.0 * n_params
    return flops / per_token


def double(values):
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


def points(x, y):
    """Both as tensors (n,), or a ValueError."""
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} values")
    if len(x) < 3:
        raise ValueError(f"{len(x)} points")
    x, y = double(x), double(y)
    if not (torch.cat([x, y]) > 0).all():
        raise ValueError("a value is not above 0")
    if (x == x[0]).all():
        raise ValueError("all x are equal")
    return x, y


def lines(x, y):
    """Through the logarithms of each column of y (n, columns): coefficients (2, columns), R (2, 2), s (columns,)."""
    design = torch.stack([torch.ones_like(x), x.log()], dim=1)
    q, r = torch.linalg.qr(design)
    turned = q.T @ y.log()
    coefficients = torch.linalg.solve_triangular(r, turned, upper=True)
    rest = torch.linalg.vector_norm(y.log() - design @ coefficients, dim=0)
    return coefficients, r, rest / math.sqrt(len(x) - 2)


def fit_power_law(x, y):
    x, y = points(x, y)
    coefficients, r, s = lines(x, y[:, None])
    at_zero, slope = coefficients[:, 0].tolist()
    return slope, math.exp(at_zero), s.item() / abs(r[1, 1].item())  # R's corner is the spread of ln x


def predict(x, y, at, *, t):
    if not at > 0:
        raise ValueError(f"at = {at}")
    x, y = points(x, y)
    coefficients, r, s = lines(x, y[:, None])
    where = double([1.0, math.log(at)])[:, None]
    reach = torch.linalg.solve_triangular(r.T, where, upper=False)  # its square is z (X^T X)^-1 z
    half = t * s.item() * math.hypot(1.0, *reach[:, 0].tolist())
    middle = (where.T @ coefficients).item()
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def fit_with_floor(x, y, *, steps=200):
    if len(x) < 4:
        raise ValueError(f"{len(x)} points")
    x, y = points(x, y)
    floors = torch.arange(steps, dtype=torch.float64) * y.min() / steps
    above = y[:, None] - floors  # (n, steps)
    (at_zero, slope), _, _ = lines(x, above)
    scale = at_zero.exp()
    missed = above - scale * x[:, None] ** slope
    best = missed.square().sum(0).argmin()
    return floors[best].item(), scale[best].item(), -slope[best].item()


def best_size(sizes, losses):
    """loss = c0 + c1 p + c2 (p^2 - turn p - level), with polynomials of p = ln N - mean that are orthogonal."""
    if len(sizes) != len(losses):
        raise ValueError(f"{len(sizes)} sizes, {len(losses)} losses")
    if len(set(sizes)) < 3:
        raise ValueError("fewer than three sizes")
    if not all(size > 0 for size in sizes):
        raise ValueError("a size is not above 0")
    logs = [math.log(size) for size in sizes]
    mean = math.fsum(logs) / len(logs)
    p = [value - mean for value in logs]
    squares = math.fsum(v**2 for v in p)
    turn, level = math.fsum(v**3 for v in p) / squares, squares / len(p)
    bend = [v**2 - turn * v - level for v in p]
    c1 = math.fsum(v * loss for v, loss in zip(p, losses)) / squares
    c2 = math.fsum(v * loss for v, loss in zip(bend, losses)) / math.fsum(v**2 for v in bend)
    if not c2 > 0:
        raise ValueError("the parabola does not open upwards")
    return math.exp(mean + (turn - c1 / c2) / 2)


def compute_optimal(runs):
    budgets = sorted({run[0] for run in runs}, reverse=True)
    vertices = []
    for budget in budgets:
        sizes, losses = [], []
        for flops, size, loss in runs:
            if flops == budget:
                sizes.append(size)
                losses.append(loss)
        vertices.append(best_size(sizes, losses))
    return fit_power_law(budgets, vertices)
