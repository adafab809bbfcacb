"""A custom autograd function, and a class that averages."""

import math

import torch
from averages import Average


class Surprise(torch.autograd.Function):
    """Forward and backward by hand."""

    @staticmethod
    def forward(ctx, scores, wanted, hidden):
        top = scores.amax(-1, keepdim=True)
        exps = (scores - top).exp()
        sums = exps.sum(-1, keepdim=True)
        safe = wanted.clone()
        safe[hidden] = 0
        chosen = scores.gather(-1, safe.unsqueeze(-1))
        n = max(int((~hidden).sum()), 1)
        ctx.save_for_backward(exps / sums, safe, hidden)
        ctx.n = n
        losses = (sums.log() + top - chosen).squeeze(-1)
        return losses.masked_fill(hidden, 0).sum() / n

    @staticmethod
    def backward(ctx, upstream):
        probabilities, safe, hidden = ctx.saved_tensors
        slope = probabilities.clone()
        slope.scatter_add_(-1, safe.unsqueeze(-1), -torch.ones_like(slope[..., :1]))
        return upstream * slope.masked_fill(hidden.unsqueeze(-1), 0) / ctx.n, None, None


def cross_entropy(logits, targets, ignore_index=-100):
    if torch.finfo(logits.dtype).bits < 32:
        logits = logits.to(torch.float32)
    return Surprise.apply(logits, targets, targets.eq(ignore_index))


def perplexity(nats):
    try:
        return math.pow(math.e, nats)
    except OverflowError:
        return float("inf")


def bits_per_byte(nats_per_token, tokens, n_bytes):
    if n_bytes < 1:
        raise ValueError(n_bytes)
    return nats_per_token / math.log(2) * (tokens / n_bytes)


def expected_initial_loss(vocab_size):
    return math.log(vocab_size)


def initial_loss_is_plausible(loss, vocab_size, tolerance=0.3):
    return abs(math.log(vocab_size) - loss) <= tolerance


def estimate_loss(model, batches, steps):
    average, was = Average(), model.training
    model.train(mode=False)
    torch_was = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        if steps > 0:
            for number, (x, y) in enumerate(batches, start=1):
                average.add(model(x, y)[1], y.ge(0).sum().item())
                if number == steps:
                    break
    finally:
        torch.set_grad_enabled(torch_was)
        model.train(mode=was)
    nats = average.value()
    return {"perplexity": perplexity(nats), "loss": nats, "tokens": average.weight}
