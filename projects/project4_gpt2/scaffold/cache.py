"""The keys and values of tokens that were already seen.    Step: cache

B batch, H = n_head, D = n_embd / n_head, T = block_size, L = n_layer.

In a causal model, what a token's key and value are does not depend on the tokens after it. So they are computed once
and kept, and each new token costs one position's work instead of a whole sequence's.

Source: Pope et al. 2022, section 3, https://arxiv.org/abs/2211.05102.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

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
        raise NotImplementedError("cache: KVCache.__init__")

    def reset(self) -> None:
        """Forget everything: the next token is the first."""
        raise NotImplementedError("cache: KVCache.reset")
