"""Two buffers in an nn.Module, written with index_copy_."""

import torch
from torch import nn


class KVCache(nn.Module):
    def __init__(self, config, batch_size=1, *, device=None, dtype=None):
        super().__init__()
        room = (config.n_layer, 2, batch_size, config.n_head, config.block_size, config.n_embd // config.n_head)
        self.register_buffer("store", torch.empty(room, device=device, dtype=dtype), persistent=False)
        self.length = 0

    @torch.no_grad()
    def reset(self):
        self.length = 0
        self.store.zero_()

    def update(self, layer, k, v):
        places = torch.arange(self.length, self.length + k.size(-2), device=k.device)
        both = self.store[layer]
        both.index_copy_(-2, places, torch.stack([k, v]).to(both.dtype))
        return both[..., : self.length + k.size(-2), :].unbind(0)
