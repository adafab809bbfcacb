"""Pre-training your own model, and what it must beat.    Step: pretrain

B batch, T time (tokens), V = vocab_size. A loss is in nats per token, unless it says otherwise.

Source: Brown et al. 2020, table 2.1 (batches counted in tokens), https://arxiv.org/abs/2005.14165;
Chen and Goodman 1998 (n-gram models and their smoothing), https://dash.harvard.edu/handle/1/25104739.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import torch
from gpt import GPT
from torch import Tensor


def accumulation_steps(batch_tokens: int, sequences: int, context: int, processes: int = 1) -> int:
    """Micro-batches of sequences x context tokens that each process adds up, so that one step sees batch_tokens.

    Raises ValueError if that is no whole number of them.
    """
    raise NotImplementedError("pretrain: accumulation_steps")


def bits_per_byte(loss: float, tokens: int, n_bytes: int) -> float:
    """A loss in nats per token, over a text of so many tokens and UTF-8 bytes, as bits per byte."""
    raise NotImplementedError("pretrain: bits_per_byte")


def bigram_loss(train: Tensor, held_out: Tensor, vocab_size: int, *, alpha: float = 0.1) -> float:
    """The loss on held_out (M,) of a bigram model counted on train (N,): what any neural model has to beat.

    p(b | a) = (count of a followed by b + alpha) / (count of a followed by anything + alpha V). The mean is over the
    M - 1 pairs of held_out.
    """
    raise NotImplementedError("pretrain: bigram_loss")


def validation_loss(model: GPT, ids: Tensor, *, context: int | None = None, batch_size: int = 8) -> float:
    """The mean loss over all of ids (N,) but the first: each is predicted once, from what its window has before it.

    Windows of `context` tokens (block_size if None) lie side by side; the last may be shorter. So the number does not
    depend on chance or on batch_size. The model is in eval mode meanwhile, and afterwards in the mode it was in.
    """
    raise NotImplementedError("pretrain: validation_loss")


def pretrain(
    model: GPT,
    ids: Tensor,
    *,
    steps: int,
    batch_tokens: int,
    micro_sequences: int,
    learning_rate: float,
    warmup_steps: int,
    weight_decay: float = 0.1,
    clip_norm: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[float]:
    """Train on windows of block_size tokens drawn from ids (N,); the loss of each step, before it was made.

    The published recipe: AdamW with betas (0.9, 0.95), decay for matrices and embeddings alone, gradients of
    accumulation_steps(...) micro-batches added up to the mean over batch_tokens and clipped to clip_norm; the learning
    rate rises in a straight line over warmup_steps, then falls along a cosine to a tenth at the last step.
    """
    raise NotImplementedError("pretrain: pretrain")
