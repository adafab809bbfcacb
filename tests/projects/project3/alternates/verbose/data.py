"""Plain loops, one window after another."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def token_windows(tokens: Tensor, block_size: int, stride: int) -> tuple[Tensor, Tensor]:
    if block_size <= 0:
        raise ValueError("block_size must be positive")
    if stride <= 0:
        raise ValueError("stride must be positive")
    ids = tokens.tolist()
    if len(ids) <= block_size:
        raise ValueError("too few tokens")
    list_of_inputs = []
    list_of_targets = []
    start = 0
    while start + block_size < len(ids):
        list_of_inputs.append(ids[start : start + block_size])
        list_of_targets.append(ids[start + 1 : start + block_size + 1])
        start += stride
    return torch.tensor(list_of_inputs, dtype=torch.int64), torch.tensor(list_of_targets, dtype=torch.int64)


def get_batch(
    data: np.ndarray, batch_size: int, block_size: int, *, device: str | torch.device, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    if batch_size <= 0 or block_size <= 0:
        raise ValueError("sizes must be positive")
    last_start = len(data) - block_size - 1
    if last_start < 0:
        raise ValueError("too few tokens")
    inputs = torch.empty(batch_size, block_size, dtype=torch.long)
    targets = torch.empty(batch_size, block_size, dtype=torch.long)
    for row in range(batch_size):
        start = int(torch.randint(low=0, high=last_start + 1, size=(), generator=generator))
        for column in range(block_size):
            inputs[row, column] = int(data[start + column])
            targets[row, column] = int(data[start + column + 1])
    return inputs.to(device), targets.to(device)


def split_tokens(tokens, validation_share: float):
    number_for_validation = int(round(len(tokens) * validation_share))
    number_for_training = len(tokens) - number_for_validation
    if number_for_validation <= 0:
        raise ValueError("nothing to validate on")
    if number_for_training <= 0:
        raise ValueError("nothing to train on")
    training_part = tokens[0:number_for_training]
    validation_part = tokens[number_for_training : len(tokens)]
    return training_part, validation_part


def join_documents(documents: Iterable[list[int]], end_of_text: int) -> list[int]:
    everything = []
    for document in documents:
        for id in document:
            everything.append(id)
        everything.append(end_of_text)
    return everything
