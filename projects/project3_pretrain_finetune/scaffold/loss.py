"""How wrong a model is: cross-entropy, and what can be read from it.    Step: loss

V = vocab_size. A loss is in nats per token: natural logarithms, averaged over the tokens that count.

Sources: Raschka, Build a Large Language Model, section 5.1; nanochat, loss_eval.py, on bits per byte:
https://github.com/karpathy/nanochat/blob/master/nanochat/loss_eval.py.

You may add helper functions, files and attributes as you like.
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
    raise NotImplementedError("loss: cross_entropy")


def perplexity(nats: float) -> float:
    """exp(nats): among how many equally likely tokens the model seems to choose. inf where exp is too large for a float.

    nats: a loss in nats per token.
    """
    raise NotImplementedError("loss: perplexity")


def bits_per_byte(nats_per_token: float, tokens: int, n_bytes: int) -> float:
    """The same loss per byte of the text and in bits, so that models with different tokenizers can be compared.

    tokens: how many tokens the loss was averaged over. n_bytes: how many bytes of text (UTF-8) these tokens are.
    Raises ValueError if n_bytes is below 1.
    """
    raise NotImplementedError("loss: bits_per_byte")


def expected_initial_loss(vocab_size: int) -> float:
    """The loss in nats of a model that finds all `vocab_size` tokens equally likely: ln(vocab_size)."""
    raise NotImplementedError("loss: expected_initial_loss")


def initial_loss_is_plausible(loss: float, vocab_size: int, tolerance: float = 0.3) -> bool:
    """Is the first loss of an untrained model within `tolerance` nats of what guessing gives, above or below?

    Far above: the weights start too large. Far below: the model sees what it should predict. nan is not plausible.
    """
    raise NotImplementedError("loss: initial_loss_is_plausible")


def estimate_loss(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], steps: int) -> dict[str, float]:
    """The loss of `model` on held-out batches: {"loss": nats per token, "perplexity": exp of it, "tokens": how many}.

    batches gives (x, y), both (B, T), on the model's device. At most `steps` of them are taken, and none beyond;
    there may be fewer. model(x, y) gives (logits, loss), loss being the mean over the targets that count. Targets
    below 0 do not count (Project 2's model ignores -1, others -100). Batches differ in how many count, so each one is
    weighted by that number: the result is the mean over tokens, not over batches. A batch without any is left out.

    The model is in eval mode meanwhile, and afterwards in the mode it was in before, also after an error. No gradient
    is computed and none is changed. Raises ValueError if no token counts at all.
    """
    raise NotImplementedError("loss: estimate_loss")
