"""Rewards and a policy, short."""

import torch
import torch.nn.functional as F


def reward_loss(chosen, rejected):
    return -F.logsigmoid(chosen - rejected).mean()


def token_logprobs(logits, tokens):
    losses = F.cross_entropy(logits[:, :-1].mT, tokens[:, 1:], reduction="none")
    return torch.cat([losses.new_zeros(len(losses), 1), -losses], 1)


def sequence_logprobs(logits, tokens, mask):
    return torch.where(mask, token_logprobs(logits, tokens), 0.0).sum(1)


def kl_penalty(logprobs, ref_logprobs, mask, *, estimator="k3"):
    with torch.no_grad():
        ref = ref_logprobs.clone()
    each = {"k1": lambda d: -d, "k3": lambda d: torch.exp(d) - 1 - d}
    if estimator not in each:
        raise ValueError(estimator)
    return torch.einsum("bt,bt->b", each[estimator](ref - logprobs), mask.to(logprobs.dtype))


def reinforce_loss(logprobs, rewards, *, baseline="mean"):
    r, n = rewards.detach(), rewards.numel()
    if baseline not in ("none", "mean", "leave_one_out") or (baseline == "leave_one_out" and n < 2):
        raise ValueError(baseline)
    b = {"none": 0.0, "mean": r.mean(), "leave_one_out": (r.sum() - r) / max(n - 1, 1)}[baseline]
    return torch.dot(b - r, logprobs) / n


def group_advantages(rewards):
    std, mean = torch.std_mean(rewards, dim=1, correction=0, keepdim=True)
    equal = rewards.amax(1, keepdim=True) == rewards.amin(1, keepdim=True)
    return ((rewards - mean) / std).masked_fill(equal, 0.0)


def clipped_loss(logprobs, old_logprobs, advantages, mask, *, clip=0.2):
    A = advantages.detach().unsqueeze(1)
    r = torch.exp(logprobs - old_logprobs.detach())
    losses = torch.max(-A * r, -A * torch.clip(r, 1 - clip, 1 + clip))
    return (torch.where(mask, losses, 0).sum(1) / mask.sum(1)).mean()


def verifiable_reward(prompts, answers):
    right, _ = torch.sort(prompts, dim=1)
    return 1.0 - (right != answers[:, : right.shape[1]]).any(1).float()


def keyword_reward(answers, keyword):
    return answers.eq(keyword).sum(1) / answers.shape[1]
