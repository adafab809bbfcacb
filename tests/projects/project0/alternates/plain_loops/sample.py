import torch


def draw(probs, generator):
    r = torch.rand(1, generator=generator).item()
    total = 0.0
    last = None
    for i in range(len(probs)):
        p = probs[i].item()
        if p > 0:
            last = i
            total += p
            if r < total:
                return i
    return last


def generate(probs, start, length, generator):
    n = len(probs.shape)
    if len(start) < n - 1:
        raise ValueError("start needs more characters")
    text = []
    for i in start:
        text.append(i)
    for step in range(length):
        if n == 1:
            row = probs
        elif n == 2:
            row = probs[text[-1]]
        else:
            row = probs[text[-2], text[-1]]
        text.append(draw(row, generator))
    return text
