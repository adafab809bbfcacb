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

    batch_tokens is what all processes see together. Raises ValueError if that is no whole number of micro-batches.
    """
    raise NotImplementedError("pretrain: accumulation_steps")


def bits_per_byte(loss: float, tokens: int, n_bytes: int) -> float:
    """A loss in nats per token, over a text of so many tokens and UTF-8 bytes, as bits per byte."""
    raise NotImplementedError("pretrain: bits_per_byte")


def bigram_loss(train: Tensor, held_out: Tensor, vocab_size: int, *, alpha: float = 0.1) -> float:
    """The loss on held_out (M,) of a bigram model counted on train (N,): what any neural model has to beat.

    p(b | a) = (count of a followed by b + alpha) / (count of a followed by anything + alpha V), each counted in train.
    The mean is over the M - 1 pairs of held_out. It must work with GPT-2's 50,257 tokens in less than 1 GB: of the
    V * V pairs, train has only a few.
    """
    raise NotImplementedError("pretrain: bigram_loss")


def validation_loss(model: GPT, ids: Tensor, *, context: int | None = None, batch_size: int = 8) -> float:
    """The mean loss over all of ids (N,) but the first: each is predicted once, from what its window has before it.

    Windows of `context` inputs (block_size if None) lie side by side, ids[0:context], ids[context:2 * context], ...; the
    last may be shorter. The target of each input is the token after it. So the number does not depend on chance or on
    batch_size. The model is in eval mode meanwhile, and afterwards in the mode it was in.
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
    """Train `model` in train mode on random windows of ids (N,); the mean loss of each step, before it was made.

    Windows: block_size inputs, ids[s : s + T], and as targets the tokens after them; each start s from 0 to N - T - 1 is
    as likely as any other, and `generator` draws it (None: torch's default one).
    Step: the model sees accumulation_steps(...) micro-batches of micro_sequences windows, one after the other. Their
    gradients add up to that of the mean loss over batch_tokens, and are then clipped, all together, to clip_norm.
    Optimizer: AdamW with betas (0.9, 0.95) and eps 1e-8; matrices and embeddings decay, what has one dimension does not.
    Learning rate of step n = 0, 1, ..., W = warmup_steps: learning_rate * (n + 1) / W while n < W; then half a cosine,
    from learning_rate at n = W to a tenth of it at the last step, n = steps - 1.
    """
    raise NotImplementedError("pretrain: pretrain")
