"""Six weeks of Python: lists, loops, and a tensor only at the end."""

import math

import torch


def vocabulary(text):
    characters = []
    for c in text:
        if c not in characters:
            characters.append(c)
    return sorted(characters)


def encode(text, vocabulary):
    ids = []
    for c in text:
        ids.append(vocabulary.index(c))
    return torch.tensor(ids)


def decode(ids, vocabulary):
    text = ""
    for i in ids:
        text = text + vocabulary[i]
    return text


def count(ids, n, vocab_size):
    if n == 1:
        counts = torch.zeros(vocab_size, dtype=torch.int64)
        for i in range(len(ids)):
            counts[ids[i]] += 1
    elif n == 2:
        counts = torch.zeros(vocab_size, vocab_size, dtype=torch.int32)
        for i in range(len(ids) - 1):
            counts[ids[i], ids[i + 1]] += 1
    else:
        counts = torch.zeros(vocab_size, vocab_size, vocab_size)
        for i in range(len(ids) - 2):
            counts[ids[i], ids[i + 1], ids[i + 2]] += 1
    return counts


def probabilities(counts, alpha):
    flat = counts.reshape(-1, counts.shape[-1]).tolist()
    rows = []
    for row in flat:
        total = 0
        for number in row:
            total += number + alpha
        rows.append([(number + alpha) / total for number in row])
    return torch.tensor(rows, dtype=torch.float64).reshape(counts.shape)


def heldout_nll(train, validation, n, vocab_size, alpha=0.1):
    probs = probabilities(count(train, n, vocab_size), alpha)
    total = 0.0
    scored = 0
    for i in range(n - 1, len(validation)):
        p = probs
        for k in range(i - n + 1, i + 1):
            p = p[validation[k]]
        total -= math.log(p)
        scored += 1
    return total / scored
