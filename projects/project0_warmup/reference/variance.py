"""Why sums grow with their number of terms, and how large weights must be so that they do not.

B batch (rows), fan_in = how many numbers a unit adds up, fan_out = how many units a layer has.

Sources: Karpathy's makemore, part 3, https://www.youtube.com/watch?v=P6sfmUTpUmc; the idea of keeping the variance
is Glorot and Bengio's (2010) for tanh and He et al.'s (2015) for ReLU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

GAINS = {"linear": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2)}


def gain(nonlinearity: str) -> float:
    """The factor that makes up for what a non-linearity takes away: "linear" 1, "tanh" 5/3, "relu" sqrt(2)."""
    if nonlinearity not in GAINS:
        raise ValueError(f"nonlinearity must be one of {', '.join(GAINS)}; got {nonlinearity!r}")
    return GAINS[nonlinearity]


def init_std(fan_in: int, gain: float) -> float:
    """The standard deviation that the weights of a layer start with: gain / sqrt(fan_in)."""
    return gain / math.sqrt(fan_in)


def init_weight(fan_in: int, fan_out: int, gain: float, generator: torch.Generator) -> Tensor:
    """A weight (fan_in, fan_out), normal with mean 0 and the standard deviation `init_std`; used as x @ weight."""
    drawn = torch.randn(fan_in, fan_out, generator=generator)
    return drawn * init_std(fan_in, gain)


def activations(x: Tensor, weights: list[Tensor], nonlinearity: str) -> list[Tensor]:
    """The output of each layer of a stack: x @ weight, then the non-linearity; one tensor for each weight."""
    gain(nonlinearity)  # refuses an unknown word
    outputs = []
    for weight in weights:
        x = x @ weight  # (B, fan_in) @ (fan_in, fan_out) -> (B, fan_out)
        if nonlinearity == "tanh":
            x = torch.tanh(x)
        elif nonlinearity == "relu":
            x = torch.relu(x)
        outputs.append(x)
    return outputs


def saturated(activation: Tensor, threshold: float = 0.97) -> float:
    """The share of numbers that lie beyond the threshold on either side, from 0 to 1."""
    beyond = activation.abs() > threshold
    return beyond.float().mean().item()
