"""torch.logsumexp and statistics.fmean, where no rule forbids a ready-made part."""

import math
from itertools import islice
from statistics import fmean

import numpy as np
import torch


def cross_entropy(logits, targets, ignore_index=-100):
    z = logits.to(torch.promote_types(logits.dtype, torch.float32)).reshape(-1, logits.size(-1))
    t = targets.reshape(-1)
    picked = torch.take_along_dim(z, torch.where(t == ignore_index, 0, t)[:, None], dim=-1).squeeze(-1)
    each = torch.where(t == ignore_index, torch.nan, torch.logsumexp(z, dim=-1) - picked)
    return torch.nanmean(each) if bool((t != ignore_index).any()) else torch.mean(z * 0)


def perplexity(nats):
    with np.errstate(over="ignore"):
        return float(np.exp(nats))


def bits_per_byte(nats_per_token, tokens, n_bytes):
    if n_bytes < 1:
        raise ValueError("n_bytes")
    return float(np.log2(np.e) * nats_per_token * tokens / n_bytes)


def expected_initial_loss(vocab_size):
    return float(np.log(vocab_size))


def initial_loss_is_plausible(loss, vocab_size, tolerance=0.3):
    return math.isclose(loss, np.log(vocab_size), rel_tol=0.0, abs_tol=tolerance)


def estimate_loss(model, batches, steps):
    before = model.training
    try:
        with torch.inference_mode():
            model.eval()
            rows = [(model(x, y)[1].item(), int(y.ge(0).sum())) for x, y in islice(batches, steps)]
    finally:
        model.train(before)
    losses, weights = zip(*[row for row in rows if row[1]]) if any(n for _, n in rows) else ((), ())
    if not weights:
        raise ValueError("no tokens")
    mean = fmean(losses, weights)
    return {"loss": mean, "perplexity": perplexity(mean), "tokens": sum(weights), "batches": len(rows)}
