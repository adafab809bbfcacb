"""Other names, and a helper file."""

import torch
from cutting import Cutter


def token_windows(tokens, block_size, stride):
    if stride < 1:
        raise ValueError("stride")
    cutter = Cutter(tokens, block_size)
    return cutter.pieces(range(0, cutter.room, stride))


def get_batch(data, batch_size, block_size, *, device, generator):
    if batch_size < 1:
        raise ValueError("batch_size")
    cutter = Cutter(data, block_size)
    places = torch.randint(high=cutter.room, size=(batch_size,), generator=generator)
    return tuple(part.to(torch.device(device)) for part in cutter.pieces(places))


def split_tokens(tokens, validation_share):
    held_out = round(len(tokens) * validation_share)
    if held_out < 1 or held_out > len(tokens) - 1:
        raise ValueError("validation_share")
    return tokens[:-held_out], tokens[-held_out:]


def join_documents(documents, end_of_text):
    out = []
    for doc in documents:
        out += doc
        out += [end_of_text]
    return torch.tensor(out)
