"""Brought to the member's code by the checks of `speculative`: models of a table, and loops over the member's functions.

The judge makes the same models for itself: a number gives the same table everywhere.
"""

from types import SimpleNamespace

import torch
from torch import nn

STATES = 97


class Toy(nn.Module):
    """Causal: the logits (1, T, V) after a token depend on all tokens up to it, and on where they stand.

    Their table is random, from `number`, plus `noise` times another one. It remembers the length of every call.
    """

    def __init__(self, number, V, block_size, noise=0.0, size=1.5):
        super().__init__()
        self.config = SimpleNamespace(block_size=block_size)
        made = torch.Generator().manual_seed(number)
        tables = [torch.randn(STATES, V, generator=made, dtype=torch.float64) for _ in range(2)]
        self.table = nn.Parameter(size * (tables[0] + noise * tables[1]) / (1.0 + noise**2) ** 0.5)
        self.calls = []

    def forward(self, idx, targets=None, *, kv_cache=None):
        T = idx.size(1)
        self.calls.append(T)
        if self.config.block_size < T:
            raise IndexError(f"{T} tokens do not fit into block_size = {self.config.block_size}")
        state = ((idx + 1) * torch.arange(3, T + 3)).cumsum(-1) % STATES
        return self.table[state], None


def verified(drafts, q, p, seed):
    """verify for each row of drafts (N, K): (N, K + 3), filled up with -1."""
    import speculative

    generator = torch.Generator().manual_seed(seed)
    width = drafts.size(1) + 3
    rows = [list(map(int, speculative.verify(row, q, p, generator))) for row in drafts]
    return torch.tensor([(row + [-1] * width)[:width] for row in rows])


def written(target, draft, ids, count, new, seed, **how):
    """What speculative_generate adds to ids, `count` times with one generator: (count, new)."""
    import speculative

    generator = torch.Generator().manual_seed(seed)
    generate = speculative.speculative_generate
    return torch.stack([generate(target, draft, ids, new, generator=generator, **how) for _ in range(count)])[
        :, len(ids) :
    ]
