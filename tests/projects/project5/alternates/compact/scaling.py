"""A scaling law, short, with numpy."""

import math
from collections import defaultdict

import numpy as np
from torch import nn


def non_embedding_parameters(model):
    tables = {p for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    return sum(p.numel() for p in set(model.parameters()) - tables)


def training_flops(n_params, tokens):
    return 6 * n_params * tokens


def tokens_for(flops, n_params):
    if flops <= 0 or n_params <= 0:
        raise ValueError("above 0")
    return flops / 6 / n_params


def logs(x, y):
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.size < 3 or not (x > 0).all() or not (y > 0).all() or len(set(x.tolist())) == 1:
        raise ValueError("points")
    return np.log10(x), np.log10(y)


def fit_power_law(x, y):
    u, v = logs(x, y)
    a, b = np.polyfit(u, v, 1)
    s2 = np.sum((v - a * u - b) ** 2) / (len(u) - 2)
    return a, 10**b, math.sqrt(s2 / (np.var(u) * len(u)))


def predict(x, y, at, *, t):
    if not at > 0:
        raise ValueError("at")
    u, v = logs(x, y)
    a, k, error = fit_power_law(x, y)
    value = k * at**a
    s = error * math.sqrt(np.var(u) * len(u))
    half = t * math.hypot(s, s / len(u) ** 0.5, error * (math.log10(at) - u.mean()))
    return value, value * 10**-half, value * 10**half


def fit_with_floor(x, y, *, steps=200):
    if len(x) < 4:
        raise ValueError("points")
    logs(x, y)
    y = np.asarray(y, float)
    tried = []
    for floor in y.min() * np.arange(steps) / steps:
        u, v = logs(x, y - floor)
        a, b = np.polyfit(u, v, 1)
        rest = y - floor - 10 ** (a * u + b)
        tried.append((rest @ rest, floor, 10**b, -a))
    return min(tried)[1:]


def best_size(sizes, losses):
    if len(sizes) != len(losses) or len(set(sizes)) < 3 or min(sizes) <= 0:
        raise ValueError("sizes")
    c, b, _ = np.polyfit(np.log(sizes), losses, 2)
    if c <= 0:
        raise ValueError("no lowest point")
    return np.exp(-b / 2 / c)


def compute_optimal(runs):
    curves = defaultdict(list)
    for flops, *run in runs:
        curves[flops].append(run)
    return fit_power_law([*curves], [best_size(*zip(*curve)) for curve in curves.values()])
