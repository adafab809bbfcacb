"""Loops, explicit float64 and long names."""

import copy
import math

import torch


def freeze_copy(model):
    reference_model = copy.deepcopy(model)
    for parameter in reference_model.parameters():
        parameter.requires_grad = False
    for module in reference_model.modules():
        module.training = False
    return reference_model


def sequence_logprob(model, input_ids, labels, ignore_index=-100):
    logits, _ = model(input_ids)
    row_sums = []
    for row in range(labels.shape[0]):
        row_sum = logits[row, 0, 0] * 0.0  # keeps the gradient's path even if nothing counts
        for position in range(labels.shape[1]):
            label = int(labels[row, position])
            if label != ignore_index:
                scores = logits[row, position]
                largest = scores.max()
                log_of_sum = largest + torch.log(torch.exp(scores - largest).sum())
                row_sum = row_sum + scores[label] - log_of_sum
        row_sums.append(row_sum)
    return torch.stack(row_sums)


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, *, beta=0.1):
    ref_chosen = ref_chosen.detach()
    ref_rejected = ref_rejected.detach()
    losses = []
    chosen_rewards = []
    rejected_rewards = []
    for pair in range(policy_chosen.shape[0]):
        chosen_reward = beta * (policy_chosen[pair] - ref_chosen[pair])
        rejected_reward = beta * (policy_rejected[pair] - ref_rejected[pair])
        margin = chosen_reward - rejected_reward
        if margin.item() >= 0:
            losses.append(torch.log1p(torch.exp(-margin)))
        else:
            losses.append(torch.log1p(torch.exp(margin)) - margin)
        chosen_rewards.append(chosen_reward.item())
        rejected_rewards.append(rejected_reward.item())
    count = len(losses)
    right = sum(1 for good, bad in zip(chosen_rewards, rejected_rewards) if good > bad)
    metrics = {
        "reward_chosen": math.fsum(chosen_rewards) / count,
        "reward_rejected": math.fsum(rejected_rewards) / count,
        "reward_margin": (math.fsum(chosen_rewards) - math.fsum(rejected_rewards)) / count,
        "accuracy": right / count,
    }
    return torch.stack(losses).mean(), metrics
