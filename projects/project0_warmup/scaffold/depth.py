"""What becomes of numbers on their way through fifty layers, and of gradients on their way back.    Step: depth

B batch (rows), n = width: every layer takes n numbers and gives n, so fan_in is n.

Source: Karpathy's makemore, part 3, https://www.youtube.com/watch?v=P6sfmUTpUmc.

You may use your functions of variance.py (`from variance import activations`), and add helpers as you like.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stds(tensors: list[Tensor]) -> list[float]:
    """The standard deviation of all numbers in each tensor, as Python floats: how far they lie from their mean.

    It must also be right for numbers as small as 1e-25 and as large as 1e25. Their squares do not fit into float32, so
    work in float64. Whether you divide by the count or by the count minus 1 does not matter here.
    """
    raise NotImplementedError("depth: stds")


def report(
    depth: int, width: int, std: float, nonlinearity: str, generator: torch.Generator, batch: int = 256
) -> list[float]:
    """Standard normal inputs through `depth` layers: the standard deviation after each layer, first to last.

    Inputs (B, n) are normal with mean 0 and standard deviation 1; each layer has a weight (n, n) of its own, normal with
    mean 0 and the standard deviation `std`. The layers are those of `activations`. All is drawn from `generator`.
    Returns `depth` Python floats.
    """
    raise NotImplementedError("depth: report")


def gradients(x: Tensor, weights: list[Tensor], nonlinearity: str, upstream: Tensor) -> list[Tensor]:
    """The gradient at the output of each layer, first to last, if `upstream` is the gradient at the last one.

    x (B, fan_in), weights as for `activations`, upstream (B, fan_out of the last) -> tensors (B, fan_out of each layer).
    So the last tensor of the list is `upstream` itself. x and weights come without requires_grad.
    """
    raise NotImplementedError("depth: gradients")


def gradient_report(
    depth: int, width: int, std: float, nonlinearity: str, generator: torch.Generator, batch: int = 256
) -> list[float]:
    """As `report`, for the gradients: a standard normal gradient at the last layer goes back to the first.

    Returns the standard deviation of the gradient at the output of each layer, first to last: `depth` Python floats.
    Inputs, weights and the gradient at the end (B, n) are drawn from `generator`.
    """
    raise NotImplementedError("depth: gradient_report")


def own_std(width: int, nonlinearity: str) -> float:
    """A standard deviation for the weights that carries numbers through fifty layers of this width.

    nonlinearity: "linear", "tanh" or "relu". The standard deviation after every one of the fifty layers must lie between
    0.3 and 3, and with tanh at most one number in five may be saturated after the last.
    """
    raise NotImplementedError("depth: own_std")
