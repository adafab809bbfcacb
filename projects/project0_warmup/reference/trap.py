"""The trap of BatchNorm and dropout: a model in training mode does not predict what it will predict later.

B batch (rows), F = in_features.

Source: Ioffe and Szegedy 2015, section 3.1 (inference), https://arxiv.org/abs/1502.03167.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """The model's output in evaluation mode, without a graph for gradients; the model is afterwards as before."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            return model(x)
    finally:
        for module, training in modes:
            module.training = training


def require_eval(model: nn.Module) -> None:
    """Raise RuntimeError, which names them, if any modules are in training mode."""
    names = [name or "the model itself" for name, module in model.named_modules() if module.training]
    if names:
        raise RuntimeError(f"in training mode: {', '.join(names)}. Call model.eval() before you predict.")


def gap(model: nn.Module, x: Tensor) -> float:
    """How far the outputs of the first half of the rows depend on the other half, in the model's present modes."""
    model = copy.deepcopy(model)  # in training mode a call moves running statistics
    half = len(x) // 2
    with torch.no_grad():
        difference = model(x)[:half] - model(x[:half])
    return difference.abs().max().item()
