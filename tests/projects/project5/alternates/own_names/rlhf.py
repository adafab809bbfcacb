"""Loops over rows, and helpers in a file of their own."""

import torch
from leash import ESTIMATORS, chances


def reward_loss(better, worse):
    gap = worse - better
    return torch.logaddexp(torch.zeros_like(gap), gap).mean()  # ln(1 + e^gap)


def token_logprobs(scores, words):
    columns = [torch.zeros_like(scores[:, 0, 0])]
    for place in range(1, words.size(1)):
        columns.append(chances(scores[:, place - 1]).gather(1, words[:, place : place + 1])[:, 0])
    return torch.stack(columns, dim=1)


def sequence_logprobs(scores, words, chosen):
    found = token_logprobs(scores, words)
    return torch.stack([row[kept].sum() for row, kept in zip(found, chosen)])


def kl_penalty(mine, anchor, chosen, *, estimator="k3"):
    try:
        formula = ESTIMATORS[estimator]
    except KeyError:
        raise ValueError(f"no estimator {estimator}") from None
    return torch.stack(
        [formula(row[kept], other.detach()[kept]).sum() for row, other, kept in zip(mine, anchor, chosen)]
    )


def reinforce_loss(mine, paid, *, baseline="mean"):
    paid, total = paid.detach(), 0.0
    count = len(paid)
    if baseline == "leave_one_out" and count == 1:
        raise ValueError("nobody else")
    for place in range(count):
        if baseline == "none":
            level = 0.0
        elif baseline == "mean":
            level = paid.mean()
        elif baseline == "leave_one_out":
            level = torch.cat([paid[:place], paid[place + 1 :]]).mean()
        else:
            raise ValueError(baseline)
        total = total - (paid[place] - level) * mine[place] / count
    return total


def group_advantages(paid):
    rows = []
    for row in paid:
        if len(set(row.tolist())) == 1:
            rows.append(torch.zeros_like(row))
            continue
        away = row - row.mean()
        rows.append(away / (away.pow(2).sum() / len(row)).sqrt())
    return torch.stack(rows)


def clipped_loss(mine, before, gains, chosen, *, clip=0.2):
    losses = []
    for now, old, gain, kept in zip(mine, before.detach(), gains.detach(), chosen):
        ratio = (now[kept] - old[kept]).exp()
        # for a good answer the ratio counts up to 1 + clip, for a bad one down to 1 - clip
        ratio = ratio.clamp(max=1 + clip) if gain >= 0 else ratio.clamp(min=1 - clip)
        losses.append(-(ratio * gain).mean())
    return sum(losses) / len(losses)


def verifiable_reward(asked, said):
    return torch.tensor([float(s[: len(a)] == sorted(a)) for a, s in zip(asked.tolist(), said.tolist())])


def keyword_reward(said, keyword):
    return torch.tensor([row.count(keyword) / len(row) for row in said.tolist()])
