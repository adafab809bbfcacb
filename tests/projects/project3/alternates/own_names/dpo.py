"""Other names, and helpers in a file of their own."""

from copy import deepcopy

import torch
from scores import picked


def freeze_copy(net):
    anchor = deepcopy(net)
    for weight in anchor.parameters():
        weight.requires_grad = False
    return anchor.eval()


def sequence_logprob(net, reads, writes, ignore_index=-100):
    return picked(net(reads)[0], writes, ignore_index).sum(1)


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, *, beta=0.1):
    with torch.no_grad():
        anchor_good, anchor_bad = ref_chosen.clone(), ref_rejected.clone()
    good = (policy_chosen - anchor_good) * beta
    bad = (policy_rejected - anchor_bad) * beta
    gap = good - bad
    loss = torch.stack([torch.zeros_like(gap), -gap]).logsumexp(0).mean()  # ln(1 + e^-gap)
    report = dict(reward_chosen=good, reward_rejected=bad, reward_margin=gap, accuracy=(gap > 0).float())
    return loss, {name: value.detach().mean().item() for name, value in report.items()}
