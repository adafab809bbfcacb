"""What becomes of numbers on their way through fifty layers, and of gradients on their way back.

B batch (rows), n = width: every layer takes n numbers and gives n, so fan_in is n.

Source: Karpathy's makemore, part 3, https://www.youtube.com/watch?v=P6sfmUTpUmc.
"""

from __future__ import annotations

import torch
from torch import Tensor
from variance import activations, gain, init_std


def stds(tensors: list[Tensor]) -> list[float]:
    """The standard deviation of all numbers in each tensor, worked out in float64."""
    return [tensor.double().std(correction=0).item() for tensor in tensors]


def draw(
    depth: int, width: int, std: float, generator: torch.Generator, batch: int
) -> tuple[Tensor, list[Tensor]]:
    """Standard normal inputs (B, n), and `depth` weights (n, n) with the standard deviation `std`."""
    x = torch.randn(batch, width, generator=generator)
    return x, [torch.randn(width, width, generator=generator) * std for _ in range(depth)]


def report(
    depth: int, width: int, std: float, nonlinearity: str, generator: torch.Generator, batch: int = 256
) -> list[float]:
    """Standard normal inputs through `depth` layers: the standard deviation after each layer, first to last."""
    x, weights = draw(depth, width, std, generator, batch)
    return stds(activations(x, weights, nonlinearity))


def gradients(x: Tensor, weights: list[Tensor], nonlinearity: str, upstream: Tensor) -> list[Tensor]:
    """The gradient at the output of each layer, first to last, if `upstream` is the gradient at the last one."""
    x = x.detach().clone().requires_grad_()
    outputs = activations(x, weights, nonlinearity)
    return list(torch.autograd.grad(outputs[-1], outputs, grad_outputs=upstream))


def gradient_report(
    depth: int, width: int, std: float, nonlinearity: str, generator: torch.Generator, batch: int = 256
) -> list[float]:
    """As `report`, for the gradients: a standard normal gradient at the last layer goes back to the first."""
    x, weights = draw(depth, width, std, generator, batch)
    upstream = torch.randn(batch, width, generator=generator)
    return stds(gradients(x, weights, nonlinearity, upstream))


def own_std(width: int, nonlinearity: str) -> float:
    """A standard deviation for the weights that carries numbers through fifty layers of this width."""
    return init_std(width, gain(nonlinearity))
