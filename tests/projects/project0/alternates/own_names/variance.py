import torch
from shapes_of_functions import bend


def gain(nonlinearity):
    return bend(nonlinearity).factor


def init_std(fan_in, gain):
    variance_of_one_weight = gain * gain / fan_in
    return variance_of_one_weight**0.5


def init_weight(fan_in, fan_out, gain, generator):
    weight = torch.empty(fan_in, fan_out)
    weight.normal_(mean=0.0, std=init_std(fan_in, gain), generator=generator)
    return weight


def activations(x, weights, nonlinearity):
    non_linear = bend(nonlinearity).apply
    signal, recorded = x, []
    for layer in weights:
        signal = non_linear(signal.matmul(layer))
        recorded += [signal]
    return recorded


def saturated(activation, threshold=0.97):
    too_high = (activation > threshold).sum().item()
    too_low = (activation < -threshold).sum().item()
    return (too_high + too_low) / activation.numel()
