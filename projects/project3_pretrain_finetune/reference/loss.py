"""How wrong a model is: cross-entropy, and what can be read from it.    Step: loss

V = vocab_size. A loss is in nats per token: natural logarithms, averaged over the tokens that count.

Sources: Raschka, Build a Large Language Model, section 5.1; nanochat, loss_eval.py, on bits per byte:
https://github.com/karpathy/nanochat/blob/master/nanochat/loss_eval.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def cross_entropy(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    """The mean of -log softmax(logits)[target] over all positions that count, in nats. A tensor with one number.

    logits (..., V), targets (...) int64 with the same leading dimensions, however many (also none). A position whose
    target is `ignore_index` does not count: not in the sum, not in the number that it is divided by, not in the
    gradient. If no position counts, the loss is 0 and all gradients are 0: one such batch must not make a whole run
    nan. Logits in 16 bits are taken to float32 first, and so is the result; otherwise the result has their dtype.

    -log softmax(z)[t] = log(sum(exp(z))) - z[t]. The largest logit is subtracted before exp, so that neither
    exp(10000) nor log(0) can happen; torch.logsumexp does just that. torch's own cross_entropy, nll_loss and log_softmax
    are what you write here, so they break a rule of this step.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    counts = targets != ignore_index  # (...)
    z = logits - logits.detach().amax(dim=-1, keepdim=True)  # (..., V), the largest is 0
    log_sum = z.exp().sum(dim=-1).log()  # (..., V) -> (...)
    index = targets.where(counts, 0)  # a place that exists, where the target is none
    each = log_sum - z.gather(-1, index.unsqueeze(-1)).squeeze(-1)  # (...)
    return each.where(counts, 0.0).sum() / counts.sum().clamp(min=1)


def perplexity(nats: float) -> float:
    """exp(nats): among how many equally likely tokens the model seems to choose. inf where exp is too large for a float.

    nats: a loss in nats per token.
    """
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def bits_per_byte(nats_per_token: float, tokens: int, n_bytes: int) -> float:
    """The same loss per byte of the text and in bits, so that models with different tokenizers can be compared.

    tokens: how many tokens the loss was averaged over. n_bytes: how many bytes of text (UTF-8) these tokens are.
    Raises ValueError if n_bytes is below 1.
    """
    if n_bytes < 1:
        raise ValueError(f"n_bytes is {n_bytes}; there is no text to divide by")
    return nats_per_token * tokens / math.log(2) / n_bytes


def expected_initial_loss(vocab_size: int) -> float:
    """The loss in nats of a model that finds all `vocab_size` tokens equally likely: ln(vocab_size)."""
    return math.log(vocab_size)


def initial_loss_is_plausible(loss: float, vocab_size: int, tolerance: float = 0.3) -> bool:
    """Is the first loss of an untrained model within `tolerance` nats of what guessing gives, above or below?

    Far above: the weights start too large. Far below: the model sees what it should predict. nan is not plausible.
    """
    return abs(loss - expected_initial_loss(vocab_size)) <= tolerance


def estimate_loss(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], steps: int) -> dict[str, float]:
    """The loss of `model` on held-out batches: {"loss": nats per token, "perplexity": exp of it, "tokens": how many}.

    batches gives (x, y), both (B, T), on the model's device. At most `steps` of them are taken, and none beyond;
    there may be fewer. model(x, y) gives (logits, loss), loss being the mean over the targets that count. Targets
    below 0 do not count (Project 2's model ignores -1, others -100). Batches differ in how many count, so each one is
    weighted by that number: the result is the mean over tokens, not over batches. A batch without any is left out.

    The model is in eval mode meanwhile, and afterwards in the mode it was in before, also after an error. No gradient
    is computed and none is changed. Raises ValueError if no token counts at all.
    """
    was_training = model.training
    total_nats, tokens = 0.0, 0
    model.eval()
    try:
        with torch.no_grad():
            for _, (x, y) in zip(range(steps), batches, strict=False):
                count = int((y >= 0).sum())
                if count > 0:
                    total_nats += float(model(x, y)[1]) * count
                    tokens += count
    finally:
        model.train(was_training)
    if tokens == 0:
        raise ValueError("no token counts in these batches, so there is nothing to average")
    mean = total_nats / tokens
    return {"loss": mean, "perplexity": perplexity(mean), "tokens": tokens}
