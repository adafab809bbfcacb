"""A pipeline of small rules, each a function from log-weights to log-weights."""

import math

import torch

NEVER = -math.inf


def warmth(degrees):
    return lambda weights: weights / degrees


def the_best(how_many):
    def rule(weights):
        rank = weights.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
        return weights.masked_fill(rank >= how_many, NEVER)

    return rule


def nucleus(mass):
    def rule(weights):
        share = weights.softmax(dim=-1)
        # what is likelier than a token, together: a (V, V) table of comparisons for each row
        place = torch.arange(share.shape[-1])
        likelier = (share[:, None, :] > share[:, :, None]) | (
            (share[:, None, :] == share[:, :, None]) & (place[None, None, :] < place[None, :, None])
        )
        above = (likelier * share[:, None, :]).sum(dim=-1)
        return weights.masked_fill(above >= mass, NEVER)

    return rule


def rules_for(temperature, top_k, top_p):
    if temperature < 0 or math.isinf(temperature):
        raise ValueError(f"temperature {temperature}")
    if top_k is not None and top_k <= 0:
        raise ValueError(f"top_k {top_k}")
    if top_p is not None and not (0 < top_p <= 1):
        raise ValueError(f"top_p {top_p}")
    if temperature == 0:
        return [the_best(1)]
    rules = [warmth(temperature)]
    if top_k is not None:
        rules.append(the_best(top_k))
    if top_p is not None and top_p < 1:
        rules.append(nucleus(top_p))
    return rules
