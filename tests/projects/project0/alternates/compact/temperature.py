"""As short as it goes."""

import torch


def probabilities(logits, temperature):
    if temperature < 0:
        raise ValueError(temperature)
    return (
        (logits / temperature).softmax(-1)
        if temperature
        else torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1)
    )


def entropy(p):
    return torch.special.entr(p).sum(-1)


@torch.no_grad()
def generate(model, context_ids, n, temperature, generator):
    if (c := model.context) > len(context_ids):
        raise ValueError("too short")
    was, ids = model.training, torch.tensor(context_ids)
    model.eval()
    for _ in range(n):
        p = probabilities(model(ids[None, -c:]), temperature)
        ids = torch.cat([ids, p.multinomial(1, generator=generator)[0]])
    model.train(was)
    return ids[len(ids) - n :].tolist()
