"""A helper file of the member's own."""

import torch


class Cutter:
    """Cuts pieces of `length` tokens plus one out of anything that can be sliced."""

    def __init__(self, source, length):
        if length < 1:
            raise ValueError("length")
        self.source, self.length = source, length
        self.room = len(source) - length
        if self.room < 1:
            raise ValueError("too short")

    def piece(self, where):
        return [int(id) for id in self.source[where : where + self.length + 1]]

    def pieces(self, places):
        block = torch.tensor([self.piece(int(where)) for where in places])
        return block[:, : self.length], block[:, 1:]
