from __future__ import annotations

import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler


class Windows(Dataset):
    def __init__(self, ids, block_size):
        self.ids, self.block_size = ids, block_size

    def __len__(self):
        return len(self.ids) - self.block_size

    def __getitem__(self, start):
        piece = self.ids[start : start + self.block_size + 1]
        return piece[:-1], piece[1:]


def split(ids, validation_share=0.1):
    cut = len(ids) - round(len(ids) * validation_share)
    return torch.tensor_split(ids, [cut])


def get_batch(ids, batch_size, block_size, generator):
    windows = Windows(ids, block_size)
    sampler = RandomSampler(windows, replacement=True, num_samples=batch_size, generator=generator)
    x, y = next(iter(DataLoader(windows, batch_size, sampler=sampler, generator=generator)))
    return x, y
