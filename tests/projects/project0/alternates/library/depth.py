import statistics

import torch
from torch import nn
from variance import MODULES, gain


def stds(tensors):
    return [statistics.pstdev(tensor.flatten().tolist()) if tensor.numel() < 5000 else torch.std(tensor).item() for tensor in tensors]


def tower(depth, width, std, nonlinearity, generator):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width, bias=False), MODULES[nonlinearity]()]
        nn.init.normal_(layers[-2].weight, std=std, generator=generator)
    return nn.Sequential(*layers)


def run(model, x, upstream=None):
    """Outputs of all non-linearities, and with `upstream` their gradients, by hooks."""
    outputs, found = [], {}
    kinds = tuple(MODULES.values())

    def see(module, inputs, output):
        number = len(outputs)
        outputs.append(output)
        if upstream is not None:
            output.register_hook(lambda grad: found.__setitem__(number, grad))

    handles = [module.register_forward_hook(see) for module in model.modules() if isinstance(module, kinds)]
    model(x).backward(upstream) if upstream is not None else model(x)
    for handle in handles:
        handle.remove()
    return outputs, [found[number] for number in sorted(found)]


def report(depth, width, std, nonlinearity, generator, batch=256):
    x = torch.empty(batch, width).normal_(generator=generator)
    with torch.no_grad():
        return stds(run(tower(depth, width, std, nonlinearity, generator), x)[0])


def gradients(x, weights, nonlinearity, upstream):
    layers = []
    for weight in weights:
        linear = nn.Linear(*weight.shape, bias=False, dtype=weight.dtype)
        linear.weight.data.copy_(weight.T)
        layers += [linear, MODULES[nonlinearity]()]
    return run(nn.Sequential(*layers), x, upstream)[1]


def gradient_report(depth, width, std, nonlinearity, generator, batch=256):
    model = tower(depth, width, std, nonlinearity, generator)
    x, upstream = torch.randn(2, batch, width, generator=generator)
    return stds(run(model, x, upstream)[1])


def own_std(width, nonlinearity):
    return nn.init.kaiming_normal_(torch.empty(400, width), nonlinearity="relu").std().item() if nonlinearity == "" else gain(nonlinearity) / width**0.5
