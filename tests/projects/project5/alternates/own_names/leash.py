"""What rlhf.py needs."""

import torch


def chances(scores):
    return scores - torch.logsumexp(scores, dim=-1, keepdim=True)


ESTIMATORS = {
    "k1": lambda mine, anchor: mine - anchor,
    "k3": lambda mine, anchor: torch.special.expm1(anchor - mine) + (mine - anchor),
}
