"""One list of (keys, values) for each layer, which grows by concatenation."""

import torch


class KVCache:
    def __init__(self, config, batch_size=1, *, device=None, dtype=None):
        self.n = config.n_layer
        self.reset()

    def reset(self):
        self.length, self.kv = 0, [None] * self.n

    def __call__(self, i, *new):
        old = self.kv[i]
        self.kv[i] = new if old is None else tuple(torch.cat(pair, -2) for pair in zip(old, new, strict=True))
        return self.kv[i]
