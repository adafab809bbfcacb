"""Small models for the checks of `trap`, built beside the member's code and, with the same weights, by the judge.

F = 4 in_features, 3 outputs. The batch statistics of torch's own BatchNorm1d, so the step needs no other one.
"""

import torch
from torch import nn


class Net(nn.Module):
    """Two layers with BatchNorm, the second one deeper inside; with or without dropout. (B, 4) -> (B, 3)."""

    def __init__(self, dropout=0.5):
        super().__init__()
        self.first, self.norm = nn.Linear(4, 6), nn.BatchNorm1d(6)
        self.deep = nn.Sequential(
            nn.Linear(6, 5), nn.ModuleDict({"norm": nn.BatchNorm1d(5)})["norm"], nn.Tanh()
        )
        self.drop, self.last = nn.Dropout(dropout), nn.Linear(5, 3)

    def forward(self, x):
        if x.shape[1] != 4:
            raise ArithmeticError("the input must have four features")
        return self.last(self.drop(self.deep(torch.tanh(self.norm(self.first(x))))))


def set_modes(model, modes):
    """One mode for each module, in the order of model.modules()."""
    for module, training in zip(model.modules(), modes, strict=True):
        module.training = training


def get_modes(model):
    return [module.training for module in model.modules()]


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def remember(model, values):
    model.load_state_dict(values)


def graph(model, x):
    """Whether the prediction hangs on a graph, and whether gradients are on afterwards."""
    from trap import predict

    answer = predict(model, x.requires_grad_())
    return [answer.requires_grad, torch.is_grad_enabled()]


def after_an_error(model, x):
    """Predict for an input that the model refuses: which error came out, the modes then, are gradients on."""
    from trap import predict

    try:
        predict(model, x)
        error = "none"
    except ArithmeticError as caught:
        error = type(caught).__name__
    return [error, get_modes(model), torch.is_grad_enabled()]


def complaint(model):
    """The message of the RuntimeError that require_eval raises, or None."""
    from trap import require_eval

    try:
        require_eval(model)
    except NotImplementedError:
        raise
    except RuntimeError as error:
        return str(error)
    return None
