from __future__ import annotations

import math

import torch


def split(stream, share=0.1):
    held = math.ceil(len(stream) * share - 1e-9)
    return tuple(torch.split(stream, [len(stream) - held, held]))


def _window(stream, begin, width):
    return stream.narrow(0, begin, width)


def get_batch(stream, rows, width, dice):
    begins = torch.floor(torch.rand(rows, generator=dice, dtype=torch.float64) * (len(stream) - width)).long()
    inputs = torch.stack([_window(stream, int(begin), width) for begin in begins])
    outputs = torch.stack([_window(stream, int(begin) + 1, width) for begin in begins])
    return inputs, outputs
