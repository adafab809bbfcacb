"""Comprehensions and einsum; nothing is changed in place."""

import copy

import torch
from torch.nn.functional import one_hot


def freeze_copy(model):
    twin = copy.deepcopy(model).train(False)
    return [twin, [p.requires_grad_(False) for p in twin.parameters()]][0]


def sequence_logprob(model, input_ids, labels, ignore_index=-100):
    logits = model(input_ids)[0]
    counts = labels.ne(ignore_index)
    hot = one_hot(torch.where(counts, labels, 0), logits.size(-1)).to(logits.dtype)
    normed = logits - logits.logsumexp(-1, keepdim=True)
    return torch.einsum("btv,btv,bt->b", normed, hot, counts.to(logits.dtype))


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, *, beta=0.1):
    def reward(policy, reference):
        return beta * (policy - reference.detach())

    def mean(values):
        return float(values.detach().to(torch.float64).mean())

    good, bad = reward(policy_chosen, ref_chosen), reward(policy_rejected, ref_rejected)
    losses = torch.logaddexp(torch.zeros_like(good), bad - good)  # ln(e^0 + e^-margin)
    names = {"reward_chosen": good, "reward_rejected": bad, "reward_margin": good - bad, "accuracy": good > bad}
    return losses.mean(), {name: mean(values) for name, values in names.items()}
