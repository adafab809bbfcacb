import math

import torch


def softmax(logits):
    return (logits - logits.logsumexp(-1, keepdim=True)).exp()


def log_probability(probs, targets):
    return probs.gather(1, targets[:, None]).log().sum().item()


def nll(logits, targets):
    return (logits.logsumexp(1) - logits.gather(1, targets[:, None])[:, 0]).mean()


def perplexity(nats):
    return math.e**nats


def bits_per_byte(nats_per_token, tokens, bytes):
    return math.log2(math.e) * nats_per_token * tokens / bytes
