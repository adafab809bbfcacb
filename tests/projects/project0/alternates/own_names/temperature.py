"""With names of one's own."""

from __future__ import annotations

from collections import deque

import torch


def probabilities(logits, temperature):
    if temperature < 0.0:
        raise ValueError("colder than cold")
    if temperature == 0.0:
        best = logits.max(dim=-1, keepdim=True).values
        return (logits == best).to(logits.dtype)
    heat = logits / temperature
    return torch.exp(heat - heat.logsumexp(dim=-1, keepdim=True))


def entropy(p):
    some = p > 0
    safe = torch.where(some, p, torch.ones_like(p))
    return (-p * safe.log()).sum(dim=-1)


def generate(model, context_ids, n, temperature, generator):
    window = deque(context_ids, maxlen=model.context)
    if len(window) < model.context:
        raise ValueError("the start is too short")
    mode, story = model.training, []
    model.eval()
    try:
        for _ in range(n):
            with torch.no_grad():
                scores = model(torch.tensor(list(window)).unsqueeze(0)).squeeze(0)
            odds = probabilities(scores, temperature)
            story.append(torch.multinomial(odds, num_samples=1, generator=generator).item())
            window.append(story[-1])
    finally:
        model.train(mode)
    return story
