"""torch's own losses and distributions, and the tokens of an answer picked out by their places."""

import torch
import torch.nn.functional as F
from torch.distributions import Categorical


def row_sums(values, places):
    """What stands at the places, summed for each row."""
    rows, columns = places.nonzero(as_tuple=True)
    return values.new_zeros(len(values)).index_add(0, rows, values[rows, columns])


def reward_loss(chosen, rejected):
    margin = chosen - rejected
    return F.binary_cross_entropy_with_logits(margin, torch.ones_like(margin))


def token_logprobs(logits, tokens):
    out = torch.zeros_like(logits[..., 0])
    out[:, 1:] = Categorical(logits=logits[:, :-1]).log_prob(tokens[:, 1:])
    return out


def sequence_logprobs(logits, tokens, mask):
    return row_sums(token_logprobs(logits, tokens), mask)


def kl_penalty(logprobs, ref_logprobs, mask, *, estimator="k3"):
    match estimator:
        case "k1":
            return row_sums(logprobs - ref_logprobs.detach(), mask)
        case "k3":
            behind = logprobs - ref_logprobs.detach()
            return row_sums(behind + torch.special.expm1(-behind), mask)
        case _:
            raise ValueError(f"estimator: {estimator}")


def reinforce_loss(logprobs, rewards, *, baseline="mean"):
    """The baselines are a matrix of weights (B, B), times the rewards."""
    count = len(rewards)
    weights = torch.zeros(count, count, dtype=rewards.dtype)
    if baseline == "mean":
        weights += 1 / count
    elif baseline == "leave_one_out":
        if count == 1:
            raise ValueError("one answer has no others")
        weights += 1 / (count - 1)
        weights.fill_diagonal_(0)
    elif baseline != "none":
        raise ValueError(f"baseline: {baseline}")
    with torch.no_grad():
        pull = (weights @ rewards - rewards) / count
    return F.linear(logprobs, pull)


def group_advantages(rewards):
    out = torch.zeros_like(rewards)
    for group, row in enumerate(rewards):
        if row.unique().numel() > 1:
            out[group] = F.layer_norm(row.double(), row.shape, eps=0.0)
    return out


def clipped_loss(logprobs, old_logprobs, advantages, mask, *, clip=0.2):
    answers = len(mask)
    loss = logprobs.new_zeros(())
    for row in range(answers):
        gain = advantages[row].item()
        places = [t for t, inside in enumerate(mask[row].tolist()) if inside]
        for t in places:
            ratio = (logprobs[row, t] - old_logprobs[row, t].item()).exp()
            held = F.hardtanh(ratio, 1 - clip, 1 + clip)
            loss = loss - min(ratio * gain, held * gain) / (len(places) * answers)
    return loss


def verifiable_reward(prompts, answers):
    """In order, and each token of the prompt as often as there."""
    begin = answers[:, : prompts.size(1)]
    ascending = (begin.diff(dim=1) >= 0).all(1)
    asked = (prompts[:, :, None] == prompts[:, None, :]).sum(2)
    given = (prompts[:, :, None] == begin[:, None, :]).sum(2)
    return torch.logical_and(ascending, (asked == given).all(1)).to(torch.float32)


def keyword_reward(answers, keyword):
    rows, _ = torch.where(answers == keyword)
    return torch.bincount(rows, minlength=len(answers)).to(torch.float32) / answers.size(1)
