"""A dict: layer -> (keys, values), and how many tokens all layers have seen."""

import torch


class KVCache:
    def __init__(self, config, batch_size=1, *, device=None, dtype=None):
        self.room = (batch_size, config.block_size, config.n_embd)
        self.made = {"device": device, "dtype": dtype}
        self.reset()

    def reset(self):
        self.length = 0
        self.layers = {}


def extended(cache, layer, k, v):
    """k, v (B, T, C) written behind what this layer has; all of it."""
    pair = cache.layers.setdefault(layer, tuple(torch.zeros(cache.room, **cache.made) for _ in "kv"))
    end = cache.length + k.shape[1]
    for store, new in zip(pair, (k, v), strict=True):
        store[:, cache.length : end].copy_(new)
    return tuple(store[:, :end] for store in pair)
