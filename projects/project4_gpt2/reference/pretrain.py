"""Pre-training your own model, and what it must beat.    Step: pretrain

B batch, T time (tokens), V = vocab_size. A loss is in nats per token, unless it says otherwise.

Source: Brown et al. 2020, table 2.1 (batches counted in tokens), https://arxiv.org/abs/2005.14165;
Chen and Goodman 1998 (n-gram models and their smoothing), https://dash.harvard.edu/handle/1/25104739.
"""

from __future__ import annotations

import math

import torch
from gpt import GPT
from torch import Tensor


def accumulation_steps(batch_tokens: int, sequences: int, context: int, processes: int = 1) -> int:
    """Micro-batches of sequences x context tokens that each process adds up, so that one step sees batch_tokens.

    Raises ValueError if that is no whole number of them.
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

    p(b | a) = (count of a followed by b + alpha) / (count of a followed by anything + alpha V). The mean is over the
    M - 1 pairs of held_out.
    """
    counts = torch.full((vocab_size, vocab_size), alpha, dtype=torch.float64)
    ones = torch.ones(train.numel() - 1, dtype=torch.float64)
    counts.index_put_((train[:-1], train[1:]), ones, accumulate=True)
    logprobs = (counts / counts.sum(dim=1, keepdim=True)).log()
    return float(-logprobs[held_out[:-1], held_out[1:]].mean())


def validation_loss(model: GPT, ids: Tensor, *, context: int | None = None, batch_size: int = 8) -> float:
    """The mean loss over all of ids (N,) but the first: each is predicted once, from what its window has before it.

    Windows of `context` tokens (block_size if None) lie side by side; the last may be shorter. So the number does not
    depend on chance or on batch_size. The model is in eval mode meanwhile, and afterwards in the mode it was in.
    """
    context = context or model.config.block_size
    inputs, targets = ids[:-1], ids[1:]
    whole = inputs.numel() // context * context
    batches = list(
        zip(
            inputs[:whole].view(-1, context).split(batch_size),
            targets[:whole].view(-1, context).split(batch_size),
            strict=True,
        )
    )
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
    """Train on windows of block_size tokens drawn from ids (N,); the loss of each step, before it was made.

    The published recipe: AdamW with betas (0.9, 0.95), decay for matrices and embeddings alone, gradients of
    accumulation_steps(...) micro-batches added up to the mean over batch_tokens and clipped to clip_norm; the learning
    rate rises in a straight line over warmup_steps, then falls along a cosine to a tenth at the last step.
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
        loss = 0.0
        for _ in range(count):
            starts = torch.randint(ids.numel() - T, (micro_sequences, 1), generator=generator)
            part = model(ids[starts + offsets], ids[starts + offsets + 1])[1] / count
            part.backward()
            loss += float(part.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
    return losses


def _share(step: int, warmup: int, steps: int) -> float:
    """The learning rate of step 0, 1, ... as a share of the highest."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
