from __future__ import annotations

import math
from functools import partial

import torch

_top = partial(torch.amax, dim=-1, keepdim=True)
_total = partial(torch.sum, dim=-1, keepdim=True)


def softmax(logits):
    return (lambda w: w / _total(w))(torch.exp(logits - _top(logits)))


def log_probability(probs, targets):
    pairs = zip(probs.tolist(), targets.tolist(), strict=True)
    return math.fsum(math.log(row[target]) for row, target in pairs)


def nll(logits, targets):
    log_probs = logits - _top(logits) - torch.log(_total(torch.exp(logits - _top(logits))))
    return -torch.diagonal(log_probs.index_select(1, targets)).mean()


perplexity = math.exp


def bits_per_byte(nats_per_token, tokens, bytes):
    return nats_per_token * (tokens / bytes) * (1 / math.log(2))
