import torch
from torch.func import vjp
from variance import activations, gain, init_std


def stds(tensors):
    def one(tensor):
        size = float(tensor.abs().max())
        return size * torch.std(tensor / size).item() if size else 0.0

    return list(map(one, tensors))


def _weights(depth, width, std, generator):
    return list(torch.normal(0.0, std, (depth, width, width), generator=generator))


def report(depth, width, std, nonlinearity, generator, batch=256):
    weights = _weights(depth, width, std, generator)
    return stds(activations(torch.normal(0.0, 1.0, (batch, width), generator=generator), weights, nonlinearity))


def gradients(x, weights, nonlinearity, upstream):
    outputs = activations(x, weights, nonlinearity)

    def back(found, pair):
        output, weight = pair
        _, pull = vjp(lambda a: activations(a, [weight], nonlinearity)[0], output)
        return [pull(found[0])[0], *found]

    found = [upstream]
    for pair in zip(outputs[-2::-1], weights[::-1]):
        found = back(found, pair)
    return found


def gradient_report(depth, width, std, nonlinearity, generator, batch=256):
    weights = _weights(depth, width, std, generator)
    x, upstream = (torch.randn(batch, width, generator=generator) for _ in range(2))
    return stds(gradients(x, weights, nonlinearity, upstream))


def own_std(width, nonlinearity):
    return init_std(width, gain(nonlinearity))
