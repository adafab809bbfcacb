"""Short: index arithmetic instead of loops."""

import numpy as np
import torch


def token_windows(tokens, block_size, stride):
    n = (len(tokens) - block_size - 1) // stride + 1 if stride > 0 and block_size > 0 else 0
    if n < 1:
        raise ValueError("no window fits")
    at = torch.arange(n)[:, None] * stride + torch.arange(block_size)
    tokens = tokens.to(torch.int64)
    return tokens[at], tokens[at + 1]


def get_batch(data, batch_size, block_size, *, device, generator):
    if min(batch_size, block_size, len(data) - block_size) < 1:
        raise ValueError("no window fits")
    at = torch.randint(0, len(data) - block_size, (batch_size, 1), generator=generator) + torch.arange(block_size)
    x, y = (torch.from_numpy(data[np.asarray(i)].astype("int64")).to(device) for i in (at, at + 1))
    return x, y


def split_tokens(tokens, validation_share):
    n = len(tokens) - round(validation_share * len(tokens))
    if not 0 < n < len(tokens):
        raise ValueError("an empty part")
    return tokens[:n], tokens[n:]


def join_documents(documents, end_of_text):
    return [id for document in documents for id in [*document, end_of_text]]
