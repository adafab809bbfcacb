"""Short: logsumexp and a boolean mask."""

import math

import torch


def cross_entropy(logits, targets, ignore_index=-100):
    logits = logits.float() if logits.itemsize == 2 else logits
    keep = targets != ignore_index
    z, t = logits[keep], targets[keep]
    return (z.logsumexp(-1) - z.gather(-1, t[:, None])[:, 0]).sum() / max(len(t), 1)


def perplexity(nats):
    return float(torch.tensor(nats, dtype=torch.float64).exp())


def bits_per_byte(nats_per_token, tokens, n_bytes):
    if n_bytes <= 0:
        raise ValueError("no bytes")
    return nats_per_token * (tokens / n_bytes) * math.log2(math.e)


def expected_initial_loss(vocab_size):
    return -math.log(1 / vocab_size)


def initial_loss_is_plausible(loss, vocab_size, tolerance=0.3):
    return -tolerance <= loss - math.log(vocab_size) <= tolerance


@torch.inference_mode()
def estimate_loss(model, batches, steps):
    losses, counts, source, mode = [], [], iter(batches), model.training
    model.eval()
    try:
        while len(losses) < steps and (batch := next(source, None)) is not None:
            losses.append(model(*batch)[1].double().nan_to_num())
            counts.append((batch[1] >= 0).sum())
    finally:
        model.train(mode)
    n = int(sum(counts))
    if n == 0:
        raise ValueError("no tokens")
    loss = float((torch.stack(losses) * torch.stack(counts)).sum() / n)
    return {"loss": loss, "perplexity": perplexity(loss), "tokens": float(n)}
