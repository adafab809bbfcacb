"""From logits to probabilities, and one number for how good they are.    Step: nll

N characters that are scored, V = vocabulary size. Logarithms are natural ones, so the unit is the nat.

targets are int64 tensors (N,): the character that really came, for each row. Arguments stay as they are.

Source: Karpathy, building makemore, https://www.youtube.com/watch?v=PaCmpygFfXo.

You may add helper functions and files as you like.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def softmax(logits: Tensor) -> Tensor:
    """logits (..., V) -> (..., V): exp of each number, divided by the sum of its row (the last dimension).

    Right for logits such as 1000 and -1000 too: take the largest of each row away from the row first. The result has
    the data type of the logits. Write it from exp, max and sum, without torch.softmax.
    """
    weights = (logits - logits.max(dim=-1, keepdim=True).values).exp()
    return weights / weights.sum(dim=-1, keepdim=True)


def log_probability(probs: Tensor, targets: Tensor) -> float:
    """probs (N, V), targets (N,) -> the logarithm of the probability of the whole text.

    Row i of probs is what the model gives for place i, and targets[i] is what stands there. The probability of the text
    is the product of N numbers; its logarithm is a sum. A product of 1,000 small numbers is 0 in a computer.
    """
    right = probs[torch.arange(len(targets)), targets]  # (N,)
    return float(right.log().sum())


def nll(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (N, V), targets (N,) -> a tensor of shape (): the mean negative log-likelihood, in nats.

    The mean over N of -ln(softmax(logits)[i, targets[i]]). It must stay finite where softmax rounds to 0, and gradients
    must flow back to the logits: step `bigram` trains with it. Without torch's cross_entropy, nll_loss and log_softmax.
    """
    biggest = logits.max(dim=-1, keepdim=True).values  # (N, 1)
    totals = (logits - biggest).exp().sum(dim=-1).log() + biggest[:, 0]  # (N,): ln of the sum of exp
    right = logits[torch.arange(len(targets)), targets]  # (N,)
    return (totals - right).mean()


def perplexity(nats: float) -> float:
    """Mean nats per token -> e to that power: among how many equally likely tokens the model seems to choose."""
    return math.exp(nats)


def bits_per_byte(nats_per_token: float, tokens: int, bytes: int) -> float:
    """All nats of a text of `tokens` tokens, in bits (one bit is ln 2 nats), divided by the bytes of the text.

    Two models with different tokens cannot be compared per token. Bytes are the same for both.
    """
    return nats_per_token * tokens / math.log(2) / bytes
