"""For every layer a Python list with one entry per token: its key and its value."""

import torch


class KVCache:
    def __init__(self, config, batch_size=1, *, device=None, dtype=None):
        self.number_of_layers = config.n_layer
        self.block_size = config.block_size
        self.batch_size = batch_size
        self.length = 0
        self.keys = []
        self.values = []
        self.reset()

    def reset(self):
        self.length = 0
        self.keys = []
        self.values = []
        for _ in range(self.number_of_layers):
            self.keys.append([])
            self.values.append([])

    def append(self, layer, keys, values):
        """keys, values (B, T, C): token by token into the lists."""
        for t in range(keys.size(1)):
            self.keys[layer].append(keys[:, t])
            self.values[layer].append(values[:, t])

    def all_keys(self, layer):
        return torch.stack(self.keys[layer], dim=1)

    def all_values(self, layer):
        return torch.stack(self.values[layer], dim=1)

    def has_seen(self, number_of_tokens):
        self.length = self.length + number_of_tokens
