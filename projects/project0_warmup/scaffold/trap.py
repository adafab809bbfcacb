"""The trap of BatchNorm and dropout: a model in training mode does not predict what it will predict later.

Step: trap.    B batch (rows), F = in_features.

Source: Ioffe and Szegedy 2015, section 3.1 (inference), https://arxiv.org/abs/1502.03167.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from torch import Tensor, nn


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """The model's output in evaluation mode, without a graph for gradients; the model is afterwards as before.

    x (B, F) -> whatever model(x) has as shape. Every module in the model, at any depth, is in evaluation mode for the
    call and gets its own mode (`module.training`) back afterwards, also if the call raises an error. Some may have been
    in training mode and some not. Running statistics and parameters do not change; gradients are on again afterwards.
    """
    raise NotImplementedError("trap: predict")


def require_eval(model: nn.Module) -> None:
    """Raise RuntimeError if any module in the model, at any depth, is in training mode; else do nothing.

    The message has the dotted name of each such submodule, as in model.named_modules().
    """
    raise NotImplementedError("trap: require_eval")


def gap(model: nn.Module, x: Tensor) -> float:
    """How far the outputs of the first half of the rows depend on the other half, in the model's present modes.

    With h = B // 2: the largest absolute difference between model(x)[:h] and model(x[:h]), as a Python float. Modes,
    running statistics and parameters of the model that was given are the same afterwards.
    """
    raise NotImplementedError("trap: gap")
