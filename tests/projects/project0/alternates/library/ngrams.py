"""Leans on the standard library: Counter, itertools, bisect."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice

import torch


def vocabulary(text):
    return sorted(Counter(text))


def encode(text, vocabulary):
    table = {ord(c): chr(i) for i, c in enumerate(vocabulary)}
    missing = set(text) - set(vocabulary)
    if missing:
        raise KeyError(missing)
    return torch.tensor([ord(c) for c in text.translate(table)])


def decode(ids, vocabulary):
    return "".join([vocabulary[i] for i in (ids.tolist() if hasattr(ids, "tolist") else ids)])


def _grams(ids, n):
    ids = ids.tolist()
    return zip(*(islice(ids, k, None) for k in range(n)))


def count(ids, n, vocab_size):
    found = Counter(_grams(ids, n))
    places, times = torch.tensor(list(found)).T, torch.tensor(list(found.values()))
    return torch.sparse_coo_tensor(places, times, (vocab_size,) * n).to_dense()


def probabilities(counts, alpha):
    shares = torch.distributions.Categorical(probs=counts.double() + alpha)
    return shares.probs


def heldout_nll(train, validation, n, vocab_size, alpha=0.1):
    found, before = Counter(_grams(train, n)), Counter(gram[:-1] for gram in _grams(train, n))
    nats = [
        math.log(before[gram[:-1]] + alpha * vocab_size) - math.log(found[gram] + alpha)
        for gram in _grams(validation, n)
    ]
    return math.fsum(nats) / len(nats)
