"""As short as it gets: one number for each gram, and bincount."""

import torch


def vocabulary(text):
    return sorted({*text})


def encode(text, vocabulary):
    return torch.tensor([*map({c: i for i, c in enumerate(vocabulary)}.__getitem__, text)])


def decode(ids, vocabulary):
    return "".join(map(vocabulary.__getitem__, torch.as_tensor(ids).tolist()))


def count(ids, n, vocab_size):
    code = ids.unfold(0, n, 1) @ vocab_size ** torch.arange(n - 1, -1, -1)
    return code.bincount(minlength=vocab_size**n).view((vocab_size,) * n)


def probabilities(counts, alpha):
    return (p := counts.double() + alpha) / p.sum(-1, True)


def heldout_nll(train, validation, n, vocab_size, alpha=0.1):
    seen = count(validation, n, vocab_size)
    return -(probabilities(count(train, n, vocab_size), alpha).log() * seen).sum().item() / seen.sum().item()
