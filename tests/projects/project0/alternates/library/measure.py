from __future__ import annotations

import math

import torch
from torch.distributions import Categorical


def softmax(logits):
    return torch.exp(logits - torch.logsumexp(logits, -1, keepdim=True))


def log_probability(probs, targets):
    return Categorical(probs=probs).log_prob(targets).sum().item()


def nll(logits, targets):
    return -Categorical(logits=logits).log_prob(targets).mean()


def perplexity(nats):
    return float(torch.tensor(nats, dtype=torch.float64).exp())


def bits_per_byte(nats_per_token, tokens, bytes):
    return math.fsum([nats_per_token] * tokens) / math.log(2) / bytes
