from __future__ import annotations

import math

import torch


def _stable(scores):
    top, _ = torch.max(scores, dim=-1, keepdim=True)
    return scores - top.detach()


def log_shares(scores):
    calm = _stable(scores)
    return calm - torch.log(torch.exp(calm).sum(dim=-1, keepdim=True))


def softmax(scores):
    calm = torch.exp(_stable(scores))
    return torch.div(calm, calm.sum(dim=-1).unsqueeze(-1))


def log_probability(shares, truth):
    total = 0.0
    for row, right in zip(shares, truth):
        total += torch.log(row[right])
    return total


def nll(scores, truth):
    picked = torch.take_along_dim(log_shares(scores), truth.unsqueeze(-1), dim=-1)
    return picked.sum().neg() / truth.numel()


def perplexity(surprise):
    return torch.exp(torch.tensor(surprise, dtype=torch.float64)).item()


def bits_per_byte(surprise, pieces, size):
    all_nats = surprise * pieces
    all_bits = all_nats / math.log(2.0)
    return all_bits / size
