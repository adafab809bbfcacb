"""Why sums grow with their number of terms, and how large weights must be so that they do not.    Step: variance

B batch (rows), fan_in = how many numbers a unit adds up, fan_out = how many units a layer has.

Sources: Karpathy's makemore, part 3, https://www.youtube.com/watch?v=P6sfmUTpUmc; the idea of keeping the variance
is Glorot and Bengio's (2010) for tanh and He et al.'s (2015) for ReLU.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gain(nonlinearity: str) -> float:
    """The factor that makes up for what a non-linearity takes away: "linear" 1, "tanh" 5/3, "relu" sqrt(2).

    Raises ValueError for another word.
    """
    raise NotImplementedError("variance: gain")


def init_std(fan_in: int, gain: float) -> float:
    """The standard deviation that the weights of a layer start with: gain / sqrt(fan_in)."""
    raise NotImplementedError("variance: init_std")


def init_weight(fan_in: int, fan_out: int, gain: float, generator: torch.Generator) -> Tensor:
    """A weight (fan_in, fan_out), normal with mean 0 and the standard deviation `init_std`; used as x @ weight.

    Every random number comes from `generator`, which goes on from where it stands: two calls give two weights.
    """
    raise NotImplementedError("variance: init_weight")


def activations(x: Tensor, weights: list[Tensor], nonlinearity: str) -> list[Tensor]:
    """The output of each layer of a stack: x @ weight, then the non-linearity; one tensor for each weight.

    x (B, fan_in of the first weight), weights (fan_in, fan_out) each -> tensors (B, fan_out of its weight). What comes
    out of one layer goes into the next. x itself is not in the list. nonlinearity: "linear" (none), "tanh" or "relu";
    ValueError for another word. Gradients flow back through all of it.
    """
    raise NotImplementedError("variance: activations")


def saturated(activation: Tensor, threshold: float = 0.97) -> float:
    """The share of numbers beyond the threshold on either side, |a| > threshold, as a Python float from 0 to 1."""
    raise NotImplementedError("variance: saturated")
