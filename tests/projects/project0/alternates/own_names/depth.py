import torch
from variance import activations, gain, init_std, init_weight


def stds(tensors):
    found = []
    for tensor in tensors:
        numbers = tensor.detach().to(torch.double).flatten()
        found.append((numbers - numbers.mean()).square().mean().sqrt().item())
    return found


class Tower:
    """Weights first, then inputs: the order in which they are drawn is nobody's business."""

    def __init__(self, depth, width, std, generator, batch):
        factor = std * width**0.5
        self.weights = [init_weight(width, width, factor, generator) for _ in range(depth)]
        self.inputs = torch.randn((batch, width), generator=generator)


def report(depth, width, std, nonlinearity, generator, batch=256):
    tower = Tower(depth, width, std, generator, batch)
    return stds(activations(tower.inputs, tower.weights, nonlinearity))


def gradients(x, weights, nonlinearity, upstream):
    leaf = x.detach().clone()
    leaf.requires_grad = True
    outputs = activations(leaf, weights, nonlinearity)
    for output in outputs:
        output.retain_grad()
    outputs[-1].backward(upstream)
    return [output.grad for output in outputs]


def gradient_report(depth, width, std, nonlinearity, generator, batch=256):
    end = torch.randn(batch, width, generator=generator)
    tower = Tower(depth, width, std, generator, batch)
    return stds(gradients(tower.inputs, tower.weights, nonlinearity, end))


def own_std(width, nonlinearity):
    return init_std(width, {"tanh": 1.5}.get(nonlinearity, gain(nonlinearity)))
