import math

import torch


def gain(nonlinearity):
    if nonlinearity == "linear":
        return 1.0
    if nonlinearity == "tanh":
        return 5 / 3
    if nonlinearity == "relu":
        return math.sqrt(2)
    raise ValueError("I know linear, tanh and relu")


def init_std(fan_in, gain):
    return gain / math.sqrt(fan_in)


def init_weight(fan_in, fan_out, gain, generator):
    rows = []
    for _ in range(fan_in):
        row = torch.randn(fan_out, generator=generator)
        rows.append(row * init_std(fan_in, gain))
    return torch.stack(rows)


def activations(x, weights, nonlinearity):
    if nonlinearity not in ("linear", "tanh", "relu"):
        raise ValueError("I know linear, tanh and relu")
    outputs = []
    for weight in weights:
        columns = []
        for unit in range(weight.shape[1]):
            total = 0.0
            for i in range(weight.shape[0]):
                total = total + x[:, i] * weight[i, unit]
            columns.append(total)
        x = torch.stack(columns, dim=1)
        if nonlinearity == "tanh":
            x = (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x))
        if nonlinearity == "relu":
            x = x * (x > 0)
        outputs.append(x)
    return outputs


def saturated(activation, threshold=0.97):
    count = 0
    numbers = activation.reshape(-1).tolist()
    for number in numbers:
        if number > threshold or number < -threshold:
            count += 1
    return count / len(numbers)
