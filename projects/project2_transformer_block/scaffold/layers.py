"""What stands around attention in a block: two kinds of normalisation, GELU, and the two-layer network.

Step: layers.    B batch, T time (tokens), C = d_model, d_ff = width of the hidden layer.
Everything here works on the last dimension and treats every token alone.
"""

from __future__ import annotations

from torch import Tensor, nn


class LayerNorm(nn.Module):
    """Each token gets mean 0 and variance 1, then a learned gain and bias. (..., C) -> (..., C).

    y = (x - mean) / sqrt(variance + eps) * weight + bias. The variance divides by C, not by C - 1.
    Parameters: weight (C,), which starts at 1; bias (C,), which starts at 0. bias=False: there is no bias.
    """

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True) -> None:
        raise NotImplementedError("layers: LayerNorm.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("layers: LayerNorm.forward")


class RMSNorm(nn.Module):
    """Each token is divided by its root mean square, then scaled by a learned gain. (..., C) -> (..., C).

    y = x / sqrt(mean(x^2) + eps) * weight. No mean is subtracted and there is no bias.
    Parameter: weight (C,), which starts at 1.
    """

    def __init__(self, d_model: int, eps: float = 1e-6) -> None:
        raise NotImplementedError("layers: RMSNorm.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("layers: RMSNorm.forward")


def gelu(x: Tensor, approximate: str = "tanh") -> Tensor:
    """x times the probability that a standard normal number is smaller than x. Same shape as x.

    approximate: "none" computes that probability exactly, (1 + erf(x / sqrt(2))) / 2; "tanh" replaces it by
    (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2, which GPT-2 was trained with.
    Raises ValueError for another word.
    """
    raise NotImplementedError("layers: gelu")


class MLP(nn.Module):
    """Two linear layers with a non-linearity between them. (..., C) -> (..., C).

    Parameters: c_fc, nn.Linear(d_model, d_ff); c_proj, nn.Linear(d_ff, d_model); `bias` says whether both
    have a bias. d_ff: 4 * d_model if None. activation: "gelu" (the tanh form) or "relu".
    Dropout acts on the output, in training only. Raises ValueError for an unknown activation.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int | None = None,
        activation: str = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        raise NotImplementedError("layers: MLP.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("layers: MLP.forward")
