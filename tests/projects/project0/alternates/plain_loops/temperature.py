"""With loops, and drawn with a number between 0 and 1."""

import math

import torch


def probabilities(logits, temperature):
    if temperature < 0:
        raise ValueError("temperature must not be negative")
    if logits.ndim > 1:
        return torch.stack([probabilities(row, temperature) for row in logits])
    if temperature == 0:
        p = torch.zeros_like(logits)
        p[logits.argmax()] = 1
        return p
    highest = max(logits.tolist())
    up = []
    for logit in logits.tolist():
        up.append(math.exp((logit - highest) / temperature))
    return torch.tensor([u / sum(up) for u in up], dtype=logits.dtype)


def entropy(p):
    if p.ndim > 1:
        return torch.stack([entropy(row) for row in p])
    total = 0.0
    for q in p.tolist():
        if q > 0:
            total -= q * math.log(q)
    return torch.tensor(total, dtype=p.dtype)


def generate(model, context_ids, n, temperature, generator):
    if len(context_ids) < model.context:
        raise ValueError("not enough ids")
    was_training = model.training
    model.eval()
    window = list(context_ids)[len(context_ids) - model.context :]
    new = []
    with torch.no_grad():
        for _ in range(n):
            logits = model(torch.tensor([window]))[0]
            p = probabilities(logits, temperature).tolist()
            u = torch.rand(1, generator=generator, dtype=torch.float64).item()
            chosen, so_far = len(p) - 1, 0.0
            for id in range(len(p)):
                so_far += p[id]
                if u < so_far:
                    chosen = id
                    break
            new.append(chosen)
            window = window[1:] + [chosen]
    if was_training:
        model.train()
    return new
