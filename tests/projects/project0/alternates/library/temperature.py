"""On torch's own functions and distributions."""

import torch
import torch.nn.functional as F
from torch.distributions import Categorical


def probabilities(logits, temperature):
    if temperature < 0:
        raise ValueError("temperature < 0")
    if temperature == 0:
        return F.one_hot(torch.argmax(logits, dim=-1), num_classes=logits.size(-1)).type_as(logits)
    return F.softmax(logits / temperature, dim=-1)


def entropy(p):
    return Categorical(probs=p).entropy()


@torch.inference_mode()
def generate(model, context_ids, n, temperature, generator):
    C = model.context
    if len(context_ids) < C:
        raise ValueError("context_ids is too short")
    training = model.training
    model.eval()
    ids = torch.tensor(context_ids).unsqueeze(0)
    for _ in range(n):
        p = probabilities(model(ids[:, -C:]), temperature)
        ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)], dim=1)
    model.train(training)
    return ids[0, len(context_ids) :].tolist()
