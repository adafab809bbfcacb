"""Brought to the member's code by the checks of sampling, batch, cache and beam: small models, and what counts work.

The judge makes the same models for itself: a number gives the same weights everywhere.
"""

from types import SimpleNamespace

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

PLACES = 64


class Toy(nn.Module):
    """Causal: the scores (B, T, V) after a token depend on all tokens up to it, and on where they stand.

    It remembers every call, and can be told to fail at one of them.
    """

    def __init__(self, number, V, block_size, sharpness=2.0, fails_at=None):
        super().__init__()
        self.config = SimpleNamespace(block_size=block_size)
        made = torch.Generator().manual_seed(number)
        shapes = {"words": (V, 8), "places": (PLACES, 8), "scores": (8, V)}
        for name, shape in shapes.items():
            value = torch.randn(shape, generator=made, dtype=torch.float64)
            setattr(self, name, nn.Parameter(value))
        self.part = nn.Identity()  # such as a dropout inside: eval() has to reach it too
        self.sharpness, self.fails_at = sharpness, fails_at
        self.calls, self.modes, self.recorded = [], [], []

    def in_training(self):
        return [self.training, self.part.training]

    def forward(self, idx, targets=None, *, kv_cache=None):
        self.calls.append(list(idx.shape))
        self.modes.append(self.in_training())
        if len(self.calls) == self.fails_at:
            raise RuntimeError("the model stops here")
        T = idx.size(1)
        hidden = (self.words[idx] * torch.sin(3.0 * self.places[:T])).cumsum(1)
        scores = self.sharpness * torch.sin(hidden + self.places[:T]) @ self.scores
        self.recorded.append(scores.requires_grad)
        return scores, None


class Level(Toy):
    """All tokens are equally likely, exactly, at every place."""

    def forward(self, idx, targets=None, *, kv_cache=None):
        return super().forward(idx)[0] * 0.0, None


def watched(model):
    """A list that gets the number of tokens of every call of this model."""
    seen = []

    def note(module, args, kwargs):
        idx = args[0] if args else kwargs["idx"]
        seen.append(idx.size(1))

    model.register_forward_pre_hook(note, with_kwargs=True)
    return Box(seen)


class Box:
    def __init__(self, seen):
        self.seen = seen


def logits(model, idx, cache=None):
    """As when text is made: nothing is recorded for gradients. (B, T, V)"""
    with torch.no_grad():
        return (model(idx) if cache is None else model(idx, kv_cache=cache))[0]


class Numbers(TorchDispatchMode):
    """How many numbers torch computes: the sizes of all results that are no views."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            parts = result if isinstance(result, tuple | list) else [result]
            self.count += sum(part.numel() for part in parts if isinstance(part, torch.Tensor))
        return result


def work(model, idx, cache=None):
    """The numbers that one call of the model computes."""
    with Numbers() as numbers:
        logits(model, idx, cache)
    return numbers.count
