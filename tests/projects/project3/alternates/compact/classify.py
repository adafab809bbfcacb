"""Short, idiomatic torch."""

import random
from collections import defaultdict

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence


class SequenceClassifier(nn.Module):
    def __init__(self, backbone, d_model, num_classes, *, pad_id):
        super().__init__()
        self.backbone, self.head, self.pad_id = backbone, nn.Linear(d_model, num_classes), pad_id

    def forward(self, ids):
        text = (ids != self.pad_id).long()
        if (text.sum(1) == 0).any():
            raise ValueError("an empty row")
        last = ids.shape[1] - 1 - text.flip(1).argmax(1)  # the first 1 from the right
        return self.head(self.backbone(ids)[torch.arange(len(ids)), last])


def freeze_all_but(model, names):
    wanted = {n for n, _ in model.named_parameters() for name in names if f"{n}.".startswith(f"{name}.")}
    if any(not any(f"{n}.".startswith(f"{name}.") for n in wanted) for name in names):
        raise ValueError(f"unknown: {names}")
    return sum(p.requires_grad_(n in wanted).numel() * (n in wanted) for n, p in model.named_parameters())


def balance(examples, seed):
    shuffled, classes = list(examples), defaultdict(list)
    random.Random(seed).shuffle(shuffled)
    for example in shuffled:
        classes[example[1]].append(example)
    fewest = min(map(len, classes.values()))
    return [example for members in classes.values() for example in members[:fewest]]


def pad_batch(examples, *, pad_id, max_length):
    texts = [torch.tensor(ids[:max_length]) for ids, _ in examples]
    return pad_sequence(texts, batch_first=True, padding_value=pad_id), torch.tensor([y for _, y in examples])


@torch.inference_mode()
def accuracy(model, batches):
    was, _ = model.training, model.eval()
    hits = [(model(x).argmax(-1) == y) for x, y in batches]
    model.train(was)
    if not hits:
        raise ValueError("no batches")
    return torch.cat(hits).double().mean().item()
