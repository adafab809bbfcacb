"""Non-linearities by name."""

from dataclasses import dataclass
from typing import Callable

import torch


@dataclass(frozen=True)
class Bend:
    apply: Callable
    factor: float


BENDS = {
    "linear": Bend(torch.nn.Identity(), 1.0),
    "tanh": Bend(torch.nn.Tanh(), 1.6666666666666667),
    "relu": Bend(torch.nn.ReLU(), 1.4142135623730951),
}


def bend(word):
    if word in BENDS:
        return BENDS[word]
    raise ValueError("unknown non-linearity " + word)
