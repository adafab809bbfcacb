import itertools
import torch

KINDS = {"linear": (1, lambda x: x), "tanh": (5 / 3, torch.tanh), "relu": (2**0.5, lambda x: x.clamp(min=0))}


def gain(nonlinearity):
    try:
        return float(KINDS[nonlinearity][0])
    except KeyError as e:
        raise ValueError(nonlinearity) from e


init_std = lambda fan_in, gain: gain * fan_in**-0.5


def init_weight(fan_in, fan_out, gain, generator):
    return torch.normal(0.0, init_std(fan_in, gain), (fan_in, fan_out), generator=generator)


def activations(x, weights, nonlinearity):
    if nonlinearity not in KINDS:
        raise ValueError(f"{nonlinearity}?")
    return list(itertools.accumulate(weights, lambda h, w: KINDS[nonlinearity][1](h @ w), initial=x))[1:]


saturated = lambda activation, threshold=0.97: float((activation**2 > threshold**2).double().mean())
