from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def one_hot(ids, vocab_size):
    return F.one_hot(ids, vocab_size).float()


def logits_of(W, ids):
    return F.embedding(ids, W)


def train(ids, vocab_size, steps, lr):
    model = nn.Embedding(vocab_size, vocab_size)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(ids[:-1]), ids[1:]).backward()
        optimizer.step()
    return model.weight.detach()
