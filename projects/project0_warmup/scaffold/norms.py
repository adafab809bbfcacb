"""Two ways to normalise: over the batch, channel by channel, and over the channels, token by token.

Steps: batchnorm, layernorm.    B batch, T time (tokens), d = channels.

Sources: Ioffe and Szegedy 2015 (BatchNorm), https://arxiv.org/abs/1502.03167; Ba et al. 2016 (LayerNorm),
https://arxiv.org/abs/1607.06450.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class BatchNorm1d(nn.Module):
    """Each channel gets mean 0 and variance 1 over the batch, then a learned gain and bias. (..., d) -> (..., d).

    y = (x - mean) / sqrt(variance + eps) * gamma + beta. Channels are the last dimension; every other dimension counts
    as batch, so (B, T, d) is normalised like B * T rows.

    Training mode (self.training): mean and variance are those of this batch; the variance divides by the count N. Each
    call moves the running statistics: running = (1 - momentum) * running + momentum * batch. The variance that goes in
    there divides by N - 1. If a channel has one number only, raises ValueError: it has no variance.
    Evaluation mode: mean and variance are the running ones, which stay as they are. One row is enough.

    Parameters: gamma (d,), which starts at 1; beta (d,), which starts at 0.
    Buffers, by these names: running_mean (d,), which starts at 0; running_var (d,), which starts at 1. They are saved
    with the model, and no gradient leads back from them into old batches.
    """

    def __init__(self, d: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        raise NotImplementedError("batchnorm: BatchNorm1d.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("batchnorm: BatchNorm1d.forward")


class LayerNorm(nn.Module):
    """Each token gets mean 0 and variance 1 over its channels, then a learned gain and bias. (..., d) -> (..., d).

    y = (x - mean) / sqrt(variance + eps) * gamma + beta. Mean and variance belong to one token: they are taken over the
    last dimension, and the variance divides by d. No other token takes part, and training and evaluation mode are the
    same. Parameters: gamma (d,), which starts at 1; beta (d,), which starts at 0.
    """

    def __init__(self, d: int, eps: float = 1e-5) -> None:
        raise NotImplementedError("layernorm: LayerNorm.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("layernorm: LayerNorm.forward")


def influence(f: Callable[[Tensor], Tensor], x: Tensor, b: int, t: int, other: Tensor) -> Tensor:
    """How much each token's output changes when token t of sequence b is replaced by `other`. -> (B, T).

    f takes (B, T, d) and gives (B, T, some channels). x (B, T, d) is left as it is; other (d,). The result is, for each
    token, the largest absolute difference over the channels of its output.
    """
    raise NotImplementedError("layernorm: influence")
