"""Brought to the member's side: a small model that remembers how it was used."""

import torch
import torch.nn.functional as F
from torch import nn


class Bigram(nn.Module):
    """The logits of the next token are a row of a table (V, V), chosen by the token. model(x, y) gives (logits, loss).

    Targets below 0 do not count; without any, the loss is nan. In training mode the logits are halved, as if by dropout.
    breaks_at: the call, counted from 1, that raises a RuntimeError.
    """

    def __init__(self, table, breaks_at=0):
        super().__init__()
        self.table = nn.Parameter(table.clone())
        self.modes, self.gradients, self.breaks_at = [], [], breaks_at

    def forward(self, idx, targets=None):
        self.modes.append(self.training)
        self.gradients.append(torch.is_grad_enabled())
        if len(self.modes) == self.breaks_at:
            raise RuntimeError("this batch is broken")
        logits = self.table[idx] * (0.5 if self.training else 1.0)
        if targets is None:
            return logits, None
        counted = targets.masked_fill(targets < 0, -100)
        return logits, F.cross_entropy(logits.flatten(0, 1), counted.flatten(), ignore_index=-100)


def set_gradient(model, value):
    model.table.grad = value.clone()


def gradient(model):
    return model.table.grad


def seen(model):
    """For each call: was it in training mode, was gradient mode on; and the model's mode now."""
    return {"training": model.modes, "gradients": model.gradients, "now": model.training}
