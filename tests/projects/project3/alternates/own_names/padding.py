"""Shared by classify.py and instruct.py."""

import torch


def rectangle(rows, filler):
    """Rows of different lengths as one int64 tensor, filled up on the right."""
    out = torch.full((len(rows), max(len(row) for row in rows)), filler, dtype=torch.int64)
    for line, row in zip(out, rows):
        line[: len(row)] = torch.tensor(row, dtype=torch.int64)
    return out


class Quietly:
    """`with Quietly(net):` puts it into eval mode without gradients, and back."""

    def __init__(self, net):
        self.net, self.off = net, torch.no_grad()

    def __enter__(self):
        self.mode = self.net.training
        self.net.eval()
        self.off.__enter__()

    def __exit__(self, *what):
        self.off.__exit__(*what)
        self.net.train(self.mode)
