"""Float32 inside, a dict of replacements by path, sizes by storage."""

import copy
import functools
import math

import torch
from torch import nn


def quantise(weight, *, bits=8, per_row=True):
    if weight.dim() != 2 or not 1 < bits < 9:
        raise ValueError(f"{tuple(weight.shape)}, {bits} bits")
    top = int(2 ** (bits - 1)) - 1
    w = weight.detach().float()
    size = torch.maximum(w.max(), -w.min()).reshape(1, 1)
    if per_row:
        size = torch.maximum(w.max(1).values, -w.min(1).values)[:, None]
    inverse = torch.where(size == 0, torch.zeros_like(size), top / size)
    scales = torch.where(size == 0, torch.full_like(size, 0.5), size / top)
    return (w * inverse).round().to(torch.int8), scales.to(weight.dtype)


def dequantise(codes, scales):
    return torch.einsum("oi,o->oi", codes.to(scales.dtype), scales[:, 0].expand(codes.size(0)))


def buffers(module, **tensors):
    for name, tensor in tensors.items():
        module.register_buffer(name, tensor)


class QuantLinear(nn.Module):
    def __init__(self, codes, scales, bias=None):
        super().__init__()
        buffers(self, w=codes, s=scales, b=None if bias is None else bias.detach())

    def forward(self, x):
        y = x.matmul(dequantise(self.w, self.s).mT)
        return y if self.b is None else y.add(self.b)


class QuantEmbedding(nn.Module):
    def __init__(self, codes, scales):
        super().__init__()
        buffers(self, w=codes, s=scales)

    def forward(self, ids):
        flat = self.w.index_select(0, ids.flatten())
        scales = self.s if self.s.size(0) == 1 else self.s.index_select(0, ids.flatten())
        return dequantise(flat, scales).unflatten(0, ids.shape)


def quantise_model(model, *, bits=8, per_row=True, tied=False, inplace=True):
    if not inplace:
        return quantise_model(copy.deepcopy(model), bits=bits, per_row=per_row, tied=tied)
    paths = {
        path: module
        for path, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Linear | nn.Embedding)
    }
    heads = {m.weight for m in paths.values() if isinstance(m, nn.Linear)}
    tables = {m.weight for m in paths.values() if isinstance(m, nn.Embedding)}
    wanted = heads if tied else heads - tables

    @functools.cache
    def pair(weight):
        return quantise(weight, bits=bits, per_row=per_row)

    @functools.cache
    def new(module):
        if isinstance(module, nn.Linear):
            return QuantLinear(*pair(module.weight), module.bias)
        return QuantEmbedding(*pair(module.weight))

    for path, module in paths.items():
        if module.weight in wanted:
            parent, _, name = path.rpartition(".")
            model.get_submodule(parent).add_module(name, new(module))
    return model


def size_bytes(model, *, code_bits=8):
    tensors = {t.data_ptr(): t for t in list(model.parameters()) + list(model.buffers())}
    codes = [t for t in tensors.values() if t.dtype == torch.int8]
    others = [t for t in tensors.values() if t.dtype != torch.int8]
    return sum(t.numel() * t.element_size() for t in others) + sum(math.ceil(t.numel() * code_bits / 8) for t in codes)


def bits_per_byte(nats_per_token, bytes_per_token):
    if bytes_per_token <= 0:
        raise ValueError("no bytes")
    return math.log2(math.exp(nats_per_token / bytes_per_token))
