"""What the checks of `batchnorm` and `layernorm` run beside the member's code."""

import torch
from torch import nn


def remember(norm, mean, variance):
    """Write running statistics into a BatchNorm1d."""
    with torch.no_grad():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def attempt(norm, x):
    """Which error a call raises ("none"), and whether the running statistics are finite afterwards."""
    try:
        norm(x)
        error = "none"
    except Exception as caught:
        if isinstance(caught, NotImplementedError):
            raise
        error = "ValueError" if isinstance(caught, ValueError) else type(caught).__name__
    return [error, bool(norm.running_mean.isfinite().all() and norm.running_var.isfinite().all())]


def with_history(norm, x):
    """The running statistics that a graph hangs on, after a training step on x, by name."""
    norm.train()
    norm(x.requires_grad_()).sum().backward()
    return [name for name in ("running_mean", "running_var") if getattr(norm, name).requires_grad]


def padded(norm, x, count):
    """The norm of x with `count` rows of zeros put at the end of each sequence; their outputs are cut off again."""
    with torch.no_grad():
        return norm(torch.cat([x, torch.zeros(len(x), count, x.shape[-1], dtype=x.dtype)], dim=1))[
            :, : x.shape[1]
        ]


class Mixer(nn.Module):
    """Each token: itself turned by a matrix, plus the sum of the tokens up to it, plus the mean over the batch."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = matrix

    def forward(self, x):
        return (
            x @ self.matrix
            + x.cumsum(1) @ self.matrix.flip(0)
            - 2 * (x @ self.matrix**2).mean(0, keepdim=True)
        )
