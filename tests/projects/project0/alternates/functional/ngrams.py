"""No statement that changes anything: comprehensions, reduce, and tensors made whole."""

from __future__ import annotations

from functools import reduce


import torch


def vocabulary(text: str) -> list[str]:
    return list(map(chr, sorted(frozenset(map(ord, text)))))


def encode(text: str, vocabulary) -> torch.Tensor:
    lookup = dict(zip(vocabulary, range(len(vocabulary)), strict=True))
    return torch.tensor(list(map(lookup.__getitem__, text)), dtype=torch.long)


def decode(ids, vocabulary) -> str:
    return reduce(lambda text, id: text + vocabulary[id], ids, "")


def _shifted(ids, n):
    return [ids[k:][: len(ids) - n + 1] for k in range(n)]


def count(ids, n, vocab_size):
    shape = (vocab_size,) * n
    place = reduce(lambda code, part: code * vocab_size + part, _shifted(ids, n))
    which, times = torch.unique(place, return_counts=True)
    return torch.zeros(vocab_size**n, dtype=torch.long).index_copy(0, which, times).unflatten(0, shape)


def probabilities(counts, alpha):
    return torch.nn.functional.normalize(counts.double().add(alpha), p=1, dim=-1)


def heldout_nll(train, validation, n, vocab_size, alpha=0.1):
    log_probs = probabilities(count(train, n, vocab_size), alpha).log()
    return log_probs[tuple(_shifted(validation, n))].mean().neg().item()
