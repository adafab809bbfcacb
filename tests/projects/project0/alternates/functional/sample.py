from __future__ import annotations

from functools import reduce

import torch


def draw(probs, generator):
    """The Gumbel trick: the largest of ln p plus noise comes with probability p."""
    noise = torch.rand(probs.shape, generator=generator, dtype=torch.float64).log().neg().log().neg()
    return int((probs.double().log() + noise).argmax())


def _row(probs, ids):
    return reduce(torch.Tensor.__getitem__, ids[len(ids) - probs.ndim + 1 :], probs)


def generate(probs, start, length, generator):
    if len(start) + 1 < probs.ndim:
        raise ValueError(start)
    return reduce(lambda ids, _: [*ids, draw(_row(probs, ids), generator)], range(length), list(start))
