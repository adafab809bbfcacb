from functools import partial, reduce

import torch


def _relu(x):
    return torch.maximum(x, x.new_zeros(()))


FUNCTIONS = (("linear", 1.0, torch.clone), ("tanh", 5 / 3, torch.tanh), ("relu", 2**0.5, _relu))


def _lookup(position, word):
    match [entry[position] for entry in FUNCTIONS if entry[0] == word]:
        case [found]:
            return found
        case _:
            raise ValueError(f"no such non-linearity: {word!r}")


gain = partial(_lookup, 1)


def init_std(fan_in, gain):
    return gain * (1 / fan_in) ** 0.5


def init_weight(fan_in, fan_out, gain, generator):
    flat = torch.randn(fan_in * fan_out, generator=generator)
    return flat.mul(init_std(fan_in, gain)).view(fan_in, fan_out)


def activations(x, weights, nonlinearity):
    bend = _lookup(2, nonlinearity)

    def layer(outputs, weight):
        (*_, last) = outputs
        return (*outputs, bend(torch.einsum("...i,io->...o", last, weight)))

    return list(reduce(layer, weights, (x,))[1:])


def saturated(activation, threshold=0.97):
    inside = torch.isclose(activation, torch.zeros_like(activation), rtol=0.0, atol=threshold)
    return 1.0 - inside.double().mean().item()
