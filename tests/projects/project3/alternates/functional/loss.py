"""Closures and one-hot products; nothing is changed in place."""

import math
from contextlib import contextmanager
from itertools import islice

import torch


def wide(x):
    return x if x.dtype == torch.float64 else x.to(torch.float32)


def cross_entropy(logits, targets, ignore_index=-100):
    z = wide(logits)
    counts = (targets != ignore_index).to(z.dtype)
    classes = torch.arange(z.size(-1), device=z.device)
    hot = (targets.unsqueeze(-1) == classes).to(z.dtype)
    shift = z.detach().max(-1, keepdim=True).values
    lse = torch.log(torch.einsum("...v->...", torch.exp(z - shift)))
    each = lse - torch.einsum("...v,...v->...", z - shift, hot)
    total = torch.sum(torch.mul(each, counts))
    return total / torch.maximum(counts.sum(), torch.ones_like(total))


def perplexity(nats):
    return math.exp(nats) if nats < 709 else math.inf


def bits_per_byte(nats_per_token, tokens, n_bytes):
    if not n_bytes > 0:
        raise ValueError("n_bytes")
    return (lambda nats: nats / (n_bytes * math.log(2)))(nats_per_token * tokens)


def expected_initial_loss(vocab_size):
    return math.log(vocab_size)


def initial_loss_is_plausible(loss, vocab_size, tolerance=0.3):
    return max(loss, expected_initial_loss(vocab_size)) - min(loss, expected_initial_loss(vocab_size)) <= tolerance


@contextmanager
def measuring(model):
    before = model.training
    try:
        with torch.no_grad():
            yield model.train(False)
    finally:
        model.train(before)


def estimate_loss(model, batches, steps):
    def measured(batch):
        x, y = batch
        return float(still(x, y)[1]), int(torch.count_nonzero(y >= 0))

    with measuring(model) as still:
        pairs = [pair for pair in map(measured, islice(batches, steps)) if pair[1]]
    if not pairs:
        raise ValueError("nothing was measured")
    tokens = sum(n for _, n in pairs)
    mean = math.fsum(loss * (n / tokens) for loss, n in pairs)
    return dict(loss=mean, perplexity=perplexity(mean), tokens=tokens)
