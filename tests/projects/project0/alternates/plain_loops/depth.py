import math

import torch
from variance import gain


def stds(tensors):
    found = []
    for tensor in tensors:
        numbers = tensor.reshape(-1).tolist()
        mean = math.fsum(numbers) / len(numbers)
        squares = [(number - mean) ** 2 for number in numbers]
        found.append(math.sqrt(math.fsum(squares) / len(numbers)))
    return found


def bend(z, nonlinearity):
    if nonlinearity == "tanh":
        return torch.tanh(z)
    if nonlinearity == "relu":
        return torch.relu(z)
    return z


def report(depth, width, std, nonlinearity, generator, batch=256):
    a = torch.randn(batch, width, generator=generator)
    found = []
    for _ in range(depth):
        weight = std * torch.randn(width, width, generator=generator)
        a = bend(a @ weight, nonlinearity)
        found.append(stds([a])[0])
    return found


def gradients(x, weights, nonlinearity, upstream):
    a = x
    outputs = []
    for weight in weights:
        a = bend(a @ weight, nonlinearity)
        outputs.append(a)
    found = [upstream]
    layer = len(weights) - 1
    while layer > 0:
        a = outputs[layer]
        if nonlinearity == "tanh":
            slope = 1 - a * a
        elif nonlinearity == "relu":
            slope = (a > 0) * 1.0
        else:
            slope = 1.0
        found.append((found[-1] * slope) @ weights[layer].T)
        layer -= 1
    found.reverse()
    return found


def gradient_report(depth, width, std, nonlinearity, generator, batch=256):
    x = torch.randn(batch, width, generator=generator)
    weights = []
    for _ in range(depth):
        weights.append(std * torch.randn(width, width, generator=generator))
    upstream = torch.randn(batch, width, generator=generator)
    return stds(gradients(x, weights, nonlinearity, upstream))


def own_std(width, nonlinearity):
    return gain(nonlinearity) / math.sqrt(width)
