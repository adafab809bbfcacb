"""Leans on torch: NLLLoss, BCEWithLogitsLoss."""

import copy

import torch
from torch import nn


def freeze_copy(model):
    reference = copy.deepcopy(model)
    reference.eval()
    reference.requires_grad_(False)
    return reference


def sequence_logprob(model, input_ids, labels, ignore_index=-100):
    logits, _ = model(input_ids)
    nll = nn.NLLLoss(ignore_index=ignore_index, reduction="none")
    return nll(torch.log_softmax(logits, dim=-1).transpose(1, 2), labels).sum(dim=1).neg()


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, *, beta=0.1):
    rewards = beta * torch.stack([policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()])
    margin = rewards[0] - rewards[1]
    loss = nn.BCEWithLogitsLoss()(margin, torch.ones_like(margin))  # "the chosen one is better", with certainty
    chosen, rejected = rewards.mean(dim=1).tolist()
    return loss, {
        "reward_chosen": chosen,
        "reward_rejected": rejected,
        "reward_margin": margin.mean().item(),
        "accuracy": margin.gt(0).double().mean().item(),
    }
