"""Log-probabilities, for dpo.py."""

import torch


def log_probs(scores):
    top = scores.amax(-1, keepdim=True)
    return scores - top - (scores - top).exp().sum(-1, keepdim=True).log()


def picked(scores, words, skip):
    """log p of each word; 0 where it is `skip`."""
    safe = torch.where(words == skip, torch.zeros_like(words), words)
    found = torch.take_along_dim(log_probs(scores), safe[..., None], -1)[..., 0]
    return torch.where(words == skip, torch.zeros_like(found), found)
