"""As short as it gets; whole products on codes, and scales afterwards."""

import copy
from math import log

import torch
from torch import nn


def quantise(weight, *, bits=8, per_row=True):
    if weight.ndim != 2 or bits not in range(2, 9):
        raise ValueError("a matrix, and 2 to 8 bits")
    w, top = weight.detach(), 2 ** (bits - 1) - 1
    scales = (w if per_row else w.reshape(1, -1)).abs().max(1, True).values / top
    scales[scales == 0] = 1
    return (w / scales + 0.5).floor().clamp(-top, top).char(), scales


def dequantise(codes, scales):
    return codes.type_as(scales).mul(scales)


class QuantLinear(nn.Module):
    def __init__(self, codes, scales, bias=None):
        super().__init__()
        for name, value in (("codes", codes), ("scales", scales), ("bias", bias)):
            self.register_buffer(name, value if value is None else value.data)

    def forward(self, x):
        y = (x @ self.codes.T.to(x.dtype)) * self.scales.T
        return y if self.bias is None else y + self.bias


class QuantEmbedding(nn.Module):
    def __init__(self, codes, scales):
        super().__init__()
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)

    def forward(self, ids):
        return dequantise(self.codes, self.scales)[ids]


def quantise_model(model, *, bits=8, per_row=True, tied=False, inplace=True):
    model = model if inplace else copy.deepcopy(model)
    tables = {m.weight: m for m in model.modules() if isinstance(m, nn.Embedding)}
    done, places = {}, []
    for parent in model.modules():
        places += [(parent, name, child) for name, child in parent._modules.items() if isinstance(child, nn.Linear)]
    for parent, name, layer in places:
        table = tables.get(layer.weight)
        if table is not None and not tied:
            continue
        if layer not in done:
            done[layer] = QuantLinear(*quantise(layer.weight, bits=bits, per_row=per_row), layer.bias)
            if table is not None:
                done[table] = QuantEmbedding(done[layer].codes, done[layer].scales)
        setattr(parent, name, done[layer])
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, nn.Embedding) and child in done:
                setattr(parent, name, done[child])
    return model


def size_bytes(model, *, code_bits=8):
    tensors = {id(t): t for t in [*model.parameters(), *model.buffers()]}.values()
    sizes = (t.numel() * (code_bits if t.dtype == torch.int8 else 8 * t.itemsize) for t in tensors)
    return sum((size + 7) // 8 for size in sizes)


def bits_per_byte(nats_per_token, bytes_per_token):
    if bytes_per_token <= 0:
        raise ValueError("bytes")
    return nats_per_token / (bytes_per_token * log(2))
