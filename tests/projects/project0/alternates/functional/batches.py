from __future__ import annotations

import torch


def split(ids, validation_share=0.1):
    inside = torch.arange(len(ids)) < round(len(ids) * (1 - validation_share))
    return ids[inside], ids[~inside]


def get_batch(ids, batch_size, block_size, generator):
    starts = torch.randint(0, len(ids) - block_size, (batch_size,), generator=generator)
    both = torch.stack([ids[s : s + block_size + 1] for s in starts.tolist()])
    return both.narrow(1, 0, block_size).contiguous(), both.narrow(1, 1, block_size).contiguous()
