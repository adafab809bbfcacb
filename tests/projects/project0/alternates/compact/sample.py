import torch


def draw(probs, generator):
    return probs.multinomial(1, generator=generator).item()


def generate(probs, start, length, generator):
    if (k := probs.ndim - 1) > len(start):
        raise ValueError("start is too short")
    out = [*start]
    while len(out) < len(start) + length:
        out += [draw(probs[(*out[len(out) - k :],)], generator)]
    return out
