import math

import torch


def softmax(logits):
    if logits.dim() > 1:
        return torch.stack([softmax(row) for row in logits])
    biggest = logits[0]
    for value in logits:
        if value > biggest:
            biggest = value
    exps = torch.exp(logits - biggest)
    total = 0
    for e in exps:
        total = total + e
    return exps / total


def log_probability(probs, targets):
    total = 0.0
    for i in range(len(targets)):
        total += math.log(probs[i][targets[i]].item())
    return total


def nll(logits, targets):
    loss = 0
    for i in range(len(targets)):
        row = logits[i]
        biggest = row.max()
        loss = loss + biggest + torch.log(torch.sum(torch.exp(row - biggest))) - row[targets[i]]
    return loss / len(targets)


def perplexity(nats):
    return math.exp(nats)


def bits_per_byte(nats_per_token, tokens, bytes):
    bits = nats_per_token / math.log(2)
    return bits * tokens / bytes
