"""Small functions that return functions; nothing is changed in place."""

from functools import reduce

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view


def need(condition, words):
    if not condition:
        raise ValueError(words)


def shifted(windows):
    """(n, T + 1) -> inputs and targets, (n, T) each."""
    return tuple(windows.narrow(1, place, windows.size(1) - 1).clone() for place in (0, 1))


def token_windows(tokens, block_size, stride):
    need(block_size > 0 and stride > 0, "sizes must be positive")
    need(len(tokens) > block_size, "too few tokens")
    whole = tokens.to(torch.int64)
    starts = range(0, len(tokens) - block_size, stride)
    return shifted(torch.stack([whole.narrow(0, start, block_size + 1) for start in starts]))


def get_batch(data, batch_size, block_size, *, device, generator):
    need(batch_size > 0 and block_size > 0, "sizes must be positive")
    need(len(data) > block_size, "too few tokens")
    views = sliding_window_view(data, block_size + 1)
    uniform = torch.rand(batch_size, generator=generator, dtype=torch.float64)
    starts = (uniform * len(views)).long().numpy()
    x, y = shifted(torch.as_tensor(views[starts].astype(np.int64)))
    return x.to(device=device), y.to(device=device)


def split_tokens(tokens, validation_share):
    sizes = (lambda n: (len(tokens) - n, n))(round(len(tokens) * validation_share))
    need(min(sizes) > 0, "a part would be empty")
    return tokens[: sizes[0]], tokens[sizes[0] :]


def join_documents(documents, end_of_text):
    return reduce(lambda joined, document: joined + list(document) + [end_of_text], documents, [])
