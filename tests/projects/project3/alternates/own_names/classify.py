"""Other names, and helpers in a file of their own."""

import random

import torch
from padding import Quietly, rectangle
from torch import nn


class SequenceClassifier(nn.Module):
    def __init__(self, backbone, d_model, num_classes, *, pad_id):
        nn.Module.__init__(self)
        self.head = nn.Linear(d_model, num_classes)
        self.backbone = backbone
        self.filler = pad_id

    def forward(self, tokens):
        lengths = self.lengths(tokens)
        if int(lengths.min()) == 0:
            raise ValueError("nothing to read")
        scores = self.head(self.backbone(tokens))  # every position; only one of each row is used
        return scores.take_along_dim((lengths - 1)[:, None, None], dim=1)[:, 0]

    def lengths(self, tokens):
        numbered = torch.arange(1, tokens.shape[1] + 1).expand_as(tokens)
        return torch.where(tokens == self.filler, 0, numbered).max(dim=1).values


def freeze_all_but(net, parts):
    count, hits = 0, dict.fromkeys(parts, False)
    plan = []
    for path, weight in net.named_parameters():
        learn = False
        for part in parts:
            if path == part or (path.startswith(part) and path[len(part)] == "."):
                learn = hits[part] = True
        plan.append((weight, learn))
    if not all(hits.values()):
        raise ValueError([part for part, hit in hits.items() if not hit])
    for weight, learn in plan:
        weight.requires_grad = learn
        count += weight.numel() if learn else 0
    return count


def balance(samples, seed):
    dice = random.Random(seed)
    order = sorted(range(len(samples)), key=lambda _: dice.random())
    kinds = {kind for _, kind in samples}
    size = min(sum(kind == other for _, other in samples) for kind in kinds)
    kept = {kind: [i for i in order if samples[i][1] == kind][:size] for kind in kinds}
    return [samples[i] for kind in sorted(kinds) for i in kept[kind]]


def pad_batch(samples, *, pad_id, max_length):
    texts, kinds = zip(*samples)
    return rectangle([text[:max_length] for text in texts], pad_id), torch.tensor(kinds)


def accuracy(net, batches):
    good = bad = 0
    with Quietly(net):
        for tokens, kinds in batches:
            guesses = net(tokens).argmax(1)
            good += (guesses == kinds).sum().item()
            bad += (guesses != kinds).sum().item()
    if good + bad == 0:
        raise ValueError("no samples")
    return good / (good + bad)
