"""One memory for each layer; how long it is follows from what is in it."""

import torch


class LayerMemory:
    def __init__(self):
        self.past_k = self.past_v = None

    def remember(self, k, v):
        if self.past_k is not None:
            k, v = torch.cat([self.past_k, k], dim=1), torch.cat([self.past_v, v], dim=1)
        self.past_k, self.past_v = k, v
        return k, v


class KVCache:
    def __init__(self, config, batch_size=1, *, device=None, dtype=None):
        self.layers = config.n_layer
        self.reset()

    def reset(self):
        self.memories = [LayerMemory() for _ in range(self.layers)]

    @property
    def length(self):
        newest = self.memories[-1].past_k  # the last layer is the last to be extended
        return 0 if newest is None else newest.shape[1]
