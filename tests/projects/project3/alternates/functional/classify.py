"""Closures, comprehensions, einsum; nothing is changed in place."""

import random
from functools import reduce
from itertools import groupby

import torch
from torch import nn


class SequenceClassifier(nn.Module):
    def __init__(self, backbone, d_model, num_classes, *, pad_id):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(d_model, num_classes)
        self.is_text = lambda ids: ids.ne(pad_id)

    def forward(self, ids):
        text = self.is_text(ids)
        if not text.any(1).all().item():
            raise ValueError("a row without a text")
        behind = text.flip(1).cumsum(1).flip(1)  # how many tokens of the text stand here or further right
        pick = (text & (behind == 1)).to(self.head.weight.dtype)  # one 1 in each row
        return self.head(torch.einsum("bt,btc->bc", pick, self.backbone(ids)))


def freeze_all_but(model, names):
    def under(name):
        return {p for p, _ in model.named_parameters() if (p + ".")[: len(name) + 1] == name + "."}

    groups = [under(name) for name in names]
    if not all(groups):
        raise ValueError("a name fits nothing")
    trained = frozenset().union(*groups)
    for path, parameter in model.named_parameters():
        parameter.requires_grad_(path in trained)
    return reduce(lambda n, p: n + p.numel() * p.requires_grad, model.parameters(), 0)


def balance(examples, seed):
    def label(example):
        return example[1]

    pick = random.Random(seed).sample
    groups = [list(group) for _, group in groupby(sorted(examples, key=label), key=label)]
    size = min(len(group) for group in groups)
    return [example for group in groups for example in pick(group, size)]


def pad_batch(examples, *, pad_id, max_length):
    cut = [tuple(ids[:max_length]) for ids, _ in examples]
    width = max(map(len, cut))
    return (
        torch.tensor([row + (pad_id,) * (width - len(row)) for row in cut]),
        torch.tensor([label for _, label in examples]),
    )


def in_eval(model, function):
    """function(), with the model in eval mode and without gradients."""
    before = model.training
    with torch.no_grad():
        try:
            model.train(False)
            return function()
        finally:
            model.train(before)


def accuracy(model, batches):
    def scores():
        return [((model(ids).max(-1).indices == labels).sum().item(), len(labels)) for ids, labels in batches]

    counted = in_eval(model, scores)
    if not counted:
        raise ValueError("no examples")
    return sum(right for right, _ in counted) / sum(total for _, total in counted)
