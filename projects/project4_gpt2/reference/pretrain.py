"""Pre-training your own model, and what it must beat.    Step: pretrain

B batch, T time (tokens), V = vocab_size. A loss is in nats per token, unless it says otherwise.

Source: Brown et al. 2020, table 2.1 (batches counted in tokens), https://arxiv.org/abs/2005.14165;
Chen and Goodman 1998 (n-gram models and their smoothing), https://dash.harvard.edu/handle/1/25104739.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from gpt import GPT
from torch import Tensor


def accumulation_steps(batch_tokens: int, sequences: int, context: int, processes: int = 1) -> int:
    """Micro-batches of sequences x context tokens that each process adds up, so that one step sees batch_tokens.

    batch_tokens is what all processes see together. Raises ValueError if that is no whole number of micro-batches.
    """
    at_once = sequences * context * processes
    if at_once < 1 or batch_tokens < at_once or batch_tokens % at_once:
        raise ValueError(f"{batch_tokens} tokens are no whole number of micro-batches of {at_once}")
    return batch_tokens // at_once


def bits_per_byte(loss: float, tokens: int, n_bytes: int) -> float:
    """A loss in nats per token, over a text of so many tokens and UTF-8 bytes, as bits per byte."""
    return loss * tokens / n_bytes / math.log(2)


def bigram_loss(train: Tensor, held_out: Tensor, vocab_size: int, *, alpha: float = 0.1) -> float:
    """The loss on held_out (M,) of a bigram model counted on train (N,): what any neural model has to beat.

    p(b | a) = (count of a followed by b + alpha) / (count of a followed by anything + alpha V), each counted in train.
    The mean is over the M - 1 pairs of held_out. It must work with GPT-2's 50,257 tokens in less than 1 GB: of the
    V * V pairs, train has only a few.
    """
    pairs = train[:-1] * vocab_size + train[1:]  # each pair as one number
    pairs, counts = pairs.unique(return_counts=True)
    wanted = held_out[:-1] * vocab_size + held_out[1:]
    place = torch.searchsorted(pairs, wanted).clamp(max=len(pairs) - 1)
    seen = torch.where(pairs[place] == wanted, counts[place], 0)
    followed = torch.bincount(train[:-1], minlength=vocab_size)[held_out[:-1]]
    chances = (seen.double() + alpha) / (followed.double() + alpha * vocab_size)
    return float(-chances.log().mean())


def validation_loss(model: GPT, ids: Tensor, *, context: int | None = None, batch_size: int = 8) -> float:
    """The mean loss over all of ids (N,) but the first: each is predicted once, from what its window has before it.

    Windows of `context` inputs (block_size if None) lie side by side, ids[0:context], ids[context:2 * context], ...; the
    last may be shorter. The target of each input is the token after it. So the number does not depend on chance or on
    batch_size. The model is in eval mode meanwhile, and afterwards in the mode it was in.
    """
    context = context or model.config.block_size
    inputs, targets = ids[:-1], ids[1:]
    whole, batch = inputs.numel() // context * context, batch_size * context
    edges = [*range(0, whole, batch), whole]
    batches = [(inputs[a:b].view(-1, context), targets[a:b].view(-1, context)) for a, b in pairwise(edges)]
    if whole < inputs.numel():
        batches.append((inputs[None, whole:], targets[None, whole:]))
    was_training, total = model.training, 0.0
    model.eval()
    with torch.no_grad():
        for x, y in batches:
            total += float(model(x, y)[1]) * y.numel()
    model.train(was_training)
    return total / targets.numel()


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
    T = model.config.block_size
    count = accumulation_steps(batch_tokens, micro_sequences, T)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95))
    offsets = torch.arange(T)
    losses = []
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * _share(step, warmup_steps, steps)
        optimizer.zero_grad()
        loss = 0.0
        for _ in range(count):
            starts = torch.randint(ids.numel() - T, (micro_sequences, 1), generator=generator)
            part = model(ids[starts + offsets], ids[starts + offsets + 1])[1] / count
            part.backward()
            loss += float(part.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        losses.append(loss)
    return losses


def _share(step: int, warmup: int, steps: int) -> float:
    """The learning rate of step 0, 1, ... as a share of the highest."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
