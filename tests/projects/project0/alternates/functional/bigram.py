from __future__ import annotations

from functools import reduce

import torch
from measure import nll


def one_hot(ids, vocab_size):
    return torch.zeros(len(ids), vocab_size).scatter(1, ids[:, None], 1.0)


def logits_of(W, ids):
    return torch.einsum("nv,vw->nw", one_hot(ids, W.shape[0]), W)


def train(ids, vocab_size, steps, lr):
    gradient = torch.func.grad(lambda W: nll(logits_of(W, ids[:-1]), ids[1:]))
    return reduce(lambda W, _: W - lr * gradient(W), range(steps), torch.zeros(vocab_size, vocab_size))
