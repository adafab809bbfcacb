"""Your own block: any causal block with the same interface as TransformerBlock.

Step: own.    B batch, T time (tokens), C = d_model.

Ideas, from small to large: QK-norm; a sliding window; SwiGLU; parallel attention and MLP; grouped-query
attention; rotary positions (RoPE); a mixture of experts; linear attention; something that nobody has tried.
"""

from __future__ import annotations

from block import BlockConfig
from torch import Tensor, nn


class OwnBlock(nn.Module):
    """Your variation. (B, T, C) -> (B, T, C), for every T up to config.max_seq_len.

    It must be causal: the output at position t depends on the inputs at 0..t and on no later one. The rows of
    a batch must not see each other. With dropout 0 nothing is random.
    Use the fields of the config that make sense for your idea.
    """

    def __init__(self, config: BlockConfig) -> None:
        raise NotImplementedError("own: OwnBlock.__init__")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("own: OwnBlock.forward")
