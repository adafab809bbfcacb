"""Drawn as a race of exponential clocks: the Gumbel trick."""

from __future__ import annotations

import torch


def probabilities(logits, temperature):
    if not temperature >= 0:
        raise ValueError("the temperature must be 0 or more")
    if temperature == 0:
        places = torch.arange(logits.shape[-1])
        return (places == logits.argmax(-1, keepdim=True)).to(logits.dtype)
    return logits.div(temperature).log_softmax(-1).exp()


def entropy(p):
    return -(p * p.clamp(min=1e-30).log()).sum(-1)


def generate(model, context_ids, n, temperature, generator):
    if len(context_ids) < model.context:
        raise ValueError("too few ids")

    def following(window):
        with torch.inference_mode():
            p = probabilities(model(window[None])[0], temperature)
        clocks = torch.empty_like(p).exponential_(generator=generator)
        return int((p / clocks).argmax())

    def text(window, left):
        while left:
            id = following(window)
            yield id
            window, left = torch.cat([window[1:], torch.tensor([id])]), left - 1

    mode = model.training
    model.eval()
    new = list(text(torch.tensor(list(context_ids))[-model.context :], n))
    model.train(mode)
    return new
