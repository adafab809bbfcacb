import torch


def split(ids, validation_share=0.1):
    return ids[: (n := len(ids) - int(len(ids) * validation_share))], ids[n:]


def get_batch(ids, batch_size, block_size, generator):
    windows = ids.unfold(0, block_size + 1, 1)
    picked = windows[torch.randint(len(windows), (batch_size,), generator=generator)]
    return picked[:, :-1], picked[:, 1:]
