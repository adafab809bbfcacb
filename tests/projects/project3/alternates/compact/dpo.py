"""Short, idiomatic torch."""

from copy import deepcopy

import torch
import torch.nn.functional as F


def freeze_copy(model):
    return deepcopy(model).eval().requires_grad_(False)


def sequence_logprob(model, input_ids, labels, ignore_index=-100):
    losses = F.cross_entropy(model(input_ids)[0].mT, labels, ignore_index=ignore_index, reduction="none")
    return -losses.sum(-1)


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, *, beta=0.1):
    with torch.no_grad():
        good, bad = beta * (policy_chosen - ref_chosen), beta * (policy_rejected - ref_rejected)
        metrics = {
            "reward_chosen": good.mean().item(),
            "reward_rejected": bad.mean().item(),
            "reward_margin": (good - bad).mean().item(),
            "accuracy": (good > bad).double().mean().item(),
        }
        offset = ref_chosen - ref_rejected
    return F.softplus(-beta * (policy_chosen - policy_rejected - offset)).mean(), metrics
