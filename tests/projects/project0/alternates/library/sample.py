from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import accumulate

import torch


def draw(probs, generator):
    sums = list(accumulate(probs.tolist()))
    point = float(torch.rand((), generator=generator, dtype=torch.float64)) * sums[-1]
    return bisect_right(sums, point)


def generate(probs, start, length, generator):
    window = deque(start, maxlen=probs.ndim - 1)
    if len(window) < probs.ndim - 1:
        raise ValueError("too short")
    text = list(start)
    for _ in range(length):
        text.append(draw(probs[tuple(window)], generator))
        window.append(text[-1])
    return text
