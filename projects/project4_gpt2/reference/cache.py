"""The keys and values of tokens that were already seen.    Step: cache

B batch, H = n_head, D = n_embd / n_head, T = block_size, L = n_layer.

In a causal model, what a token's key and value are does not depend on the tokens after it. So they are computed once
and kept, and each new token costs one position's work instead of a whole sequence's.

Source: Pope et al. 2022, section 3, https://arxiv.org/abs/2211.05102.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gpt import GPTConfig


class KVCache:
    """Room for block_size tokens of batch_size sequences. `length`: tokens seen so far."""

    def __init__(
        self,
        config: GPTConfig,
        batch_size: int = 1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        head = config.n_embd // config.n_head
        shape = config.n_layer, batch_size, config.n_head, config.block_size, head
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k, v (B, H, T_new, D) of one layer; all keys and values of that layer, (B, H, length + T_new, D).

        `length` moves when all layers have been extended: the model does that.
        """
        end = self.length + k.size(2)
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def reset(self) -> None:
        """Forget everything: the next token is the first."""
        self.length = 0
