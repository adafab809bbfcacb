"""Loops over rows and recursion over modules; other names for what is kept."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn


def quantise(weight, *, bits=8, per_row=True):
    if len(weight.shape) != 2:
        raise ValueError("only matrices")
    if bits < 2 or bits > 8:
        raise ValueError("only 2 to 8 bits")
    limit = (1 << (bits - 1)) - 1
    with torch.no_grad():
        steps = []
        for part in weight if per_row else [weight]:
            biggest = torch.linalg.vector_norm(part, ord=math.inf)
            steps.append(biggest / limit if biggest > 0 else torch.ones_like(biggest))
        step = torch.stack(steps).unsqueeze(1)
        numbers = torch.round(torch.div(weight, step))
        return numbers.clamp_(min=-limit, max=limit).to(dtype=torch.int8), step


def dequantise(codes, scales):
    result = torch.empty(codes.shape, dtype=scales.dtype)
    for row in range(codes.shape[0]):
        result[row] = codes[row] * scales[row if scales.shape[0] > 1 else 0]
    return result


class Frozen(nn.Module):
    """Numbers and their step; neither is trained."""

    def __init__(self, numbers, step):
        super().__init__()
        self.register_buffer("numbers", numbers)
        self.register_buffer("step", step)

    def matrix(self):
        return dequantise(self.numbers, self.step)


class QuantLinear(Frozen):
    def __init__(self, codes, scales, bias=None):
        super().__init__(codes, scales)
        self.register_buffer("offset", None)
        if bias is not None:
            self.offset = bias.detach().clone()

    def forward(self, x):
        y = torch.einsum("...i,oi->...o", x, self.matrix())
        return y + self.offset if self.offset is not None else y


class QuantEmbedding(Frozen):
    def __init__(self, codes, scales):
        super().__init__(codes, scales)

    def forward(self, ids):
        return F.embedding(ids, self.matrix())


def quantise_model(model, *, bits=8, per_row=True, tied=False, inplace=True):
    if not inplace:
        model = copy.deepcopy(model)
    seen = {}
    for _, module in model.named_modules():
        if getattr(module, "weight", None) is not None:
            seen.setdefault(module.weight, []).append(module)
    cache, replaced = {}, {}

    def pair(parameter):
        if parameter not in cache:
            cache[parameter] = quantise(parameter, bits=bits, per_row=per_row)
        return cache[parameter]

    def convert(module):
        users = seen.get(getattr(module, "weight", None), [])
        alone = len(users) == 1
        if isinstance(module, nn.Linear) and (alone or tied):
            return QuantLinear(*pair(module.weight), bias=module.bias)
        if isinstance(module, nn.Embedding) and tied and any(isinstance(user, nn.Linear) for user in users):
            return QuantEmbedding(*pair(module.weight))
        return module

    def walk(module):
        for name in list(module._modules):
            child = module._modules[name]
            if child not in replaced:
                replaced[child] = convert(child)
                if replaced[child] is child:
                    walk(child)
            module._modules[name] = replaced[child]

    walk(model)
    return model


def size_bytes(model, *, code_bits=8):
    seen, total = set(), 0
    for group in (model.named_parameters(), model.named_buffers()):
        for _, tensor in group:
            if tensor.data_ptr() in seen:
                continue
            seen.add(tensor.data_ptr())
            if tensor.dtype is torch.int8:
                total += math.ceil(tensor.numel() * code_bits / 8)
            else:
                total += tensor.nbytes
    return total


def bits_per_byte(nats_per_token, bytes_per_token):
    if not bytes_per_token > 0:
        raise ValueError("a token has at least some of a byte")
    return nats_per_token * math.log2(math.e) / bytes_per_token
