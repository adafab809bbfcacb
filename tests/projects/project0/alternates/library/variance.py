import torch
from torch import nn

MODULES = {"linear": nn.Identity, "tanh": nn.Tanh, "relu": nn.ReLU}


def gain(nonlinearity):
    if nonlinearity not in MODULES:
        raise ValueError(nonlinearity)
    return nn.init.calculate_gain(nonlinearity)


def init_std(fan_in, gain):
    return gain / torch.tensor(float(fan_in), dtype=torch.float64).sqrt().item()


def init_weight(fan_in, fan_out, gain, generator):
    layer = nn.Linear(fan_in, fan_out, bias=False)
    nn.init.normal_(layer.weight, std=init_std(fan_in, gain), generator=generator)
    return layer.weight.detach().T.contiguous()


def activations(x, weights, nonlinearity):
    if nonlinearity not in MODULES:
        raise ValueError(nonlinearity)
    outputs = []
    bend = MODULES[nonlinearity]()
    for weight in weights:
        outputs.append(bend(nn.functional.linear(outputs[-1] if outputs else x, weight.t())))
    return outputs


def saturated(activation, threshold=0.97):
    return torch.count_nonzero(activation.abs().gt(threshold)).item() / activation.numel()
