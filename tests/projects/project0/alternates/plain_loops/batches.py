import torch


def split(ids, validation_share=0.1):
    n = int((1 - validation_share) * len(ids))
    train = ids[:n]
    validation = ids[n:]
    return train, validation


def get_batch(ids, batch_size, block_size, generator):
    x = []
    y = []
    for b in range(batch_size):
        start = torch.randint(0, len(ids) - block_size, (1,), generator=generator).item()
        row_x = []
        row_y = []
        for t in range(block_size):
            row_x.append(ids[start + t].item())
            row_y.append(ids[start + t + 1].item())
        x.append(row_x)
        y.append(row_y)
    return torch.tensor(x), torch.tensor(y)
