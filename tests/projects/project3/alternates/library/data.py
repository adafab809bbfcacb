"""What libraries bring along: itertools, numpy's windows, torch's own uint16."""

from itertools import chain

import numpy as np
import torch
from torch import Tensor


def token_windows(tokens: Tensor, block_size: int, stride: int) -> tuple[Tensor, Tensor]:
    if block_size < 1 or stride < 1 or tokens.numel() <= block_size:
        raise ValueError("no window fits")
    view = np.lib.stride_tricks.sliding_window_view(tokens.numpy(), block_size + 1)[::stride]
    rows = torch.tensor(view.astype(np.int64))
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def get_batch(data, batch_size, block_size, *, device, generator):
    if batch_size < 1 or block_size < 1 or len(data) <= block_size:
        raise ValueError("no window fits")
    source = torch.from_numpy(np.asarray(data)) if data.flags.writeable else None
    weights_of_starts = torch.randint(len(data) - block_size, [batch_size], generator=generator)
    if source is None:
        pick = lambda i: torch.tensor(data[i : i + block_size + 1].astype(np.int64))  # noqa: E731
    else:
        pick = lambda i: source[i : i + block_size + 1].to(torch.int64)  # noqa: E731
    rows = torch.stack(list(map(pick, weights_of_starts.tolist())))
    return rows[:, :block_size].to(device, non_blocking=True), rows[:, 1:].to(device, non_blocking=True)


def split_tokens(tokens, validation_share):
    n = round(len(tokens) * validation_share)
    if n < 1 or n >= len(tokens):
        raise ValueError("a part would be empty")
    if isinstance(tokens, Tensor):
        return torch.split(tokens, [len(tokens) - n, n])
    return tuple(np.split(tokens, [len(tokens) - n]))


def join_documents(documents, end_of_text):
    return list(chain.from_iterable(chain(document, [end_of_text]) for document in documents))
