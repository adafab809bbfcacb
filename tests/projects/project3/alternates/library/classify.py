"""Leans on what torch and the standard library bring."""

import random
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import default_collate


class SequenceClassifier(nn.Module):
    def __init__(self, backbone, d_model, num_classes, *, pad_id):
        super().__init__()
        self.pad_id = pad_id
        self.backbone = backbone
        self.head = nn.Linear(d_model, num_classes)

    def forward(self, ids):
        rows, places = torch.nonzero(ids != self.pad_id, as_tuple=True)
        last = torch.full((len(ids),), -1).scatter_reduce(0, rows, places, reduce="amax")
        if (last < 0).any():
            raise ValueError("padding only")
        hidden = self.backbone(ids)
        read = hidden.gather(1, last.view(-1, 1, 1).expand(-1, 1, hidden.size(-1)))
        return self.head(read.squeeze(1))


def freeze_all_but(model, names):
    parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
    chosen = []
    for name in names:
        part = [parameters[name]] if name in parameters else list(modules[name].parameters()) if name in modules else []
        if not part:
            raise ValueError(name)
        chosen += part
    model.requires_grad_(False)
    for parameter in chosen:
        parameter.requires_grad_(True)
    return nn.utils.parameters_to_vector(p for p in model.parameters() if p.requires_grad).numel()


def balance(examples, seed):
    counts = Counter(label for _, label in examples)
    left = dict.fromkeys(counts, min(counts.values()))
    chosen = []
    for example in random.Random(seed).sample(list(examples), len(examples)):
        if left[example[1]]:
            left[example[1]] -= 1
            chosen.append(example)
    return chosen


def pad_batch(examples, *, pad_id, max_length):
    ids = pad_sequence(
        [torch.as_tensor(text[:max_length]) for text, _ in examples], batch_first=True, padding_value=pad_id
    )
    return ids, default_collate([label for _, label in examples])


@torch.no_grad()
def accuracy(model, batches):
    mode = model.training
    model.eval()
    seen = Counter()
    for ids, labels in batches:
        seen.update((model(ids).topk(1).indices.squeeze(-1) == labels).tolist())
    model.train(mode)
    if not seen:
        raise ValueError("nothing seen")
    return seen[True] / seen.total()
