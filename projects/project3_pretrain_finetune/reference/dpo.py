"""Direct preference optimization: prefer one answer to another, with no reward model.    Step: dpo

B batch (pairs of answers), T time (tokens), V = vocabulary size.

Source: Rafailov et al. 2023, section 4, https://arxiv.org/abs/2305.18290.
"""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor, nn


def freeze_copy(model: nn.Module) -> nn.Module:
    """The reference: a copy of its own, in eval mode, none of whose parameters can be trained.

    The model itself stays as it is, and training it does not change the copy.
    """
    return copy.deepcopy(model).requires_grad_(False).eval()


def sequence_logprob(model: nn.Module, input_ids: Tensor, labels: Tensor, ignore_index: int = -100) -> Tensor:
    """The log-probability in nats that the model gives to the labels of each row. -> (B,)

    input_ids (B, T); model(input_ids) gives (logits (B, T, V), None). labels (B, T) are shifted already, as sft_collate
    gives them: labels[b, t] follows input_ids[b, t]. The *sum* over the labels that are not ignore_index; 0 for a
    row in which none counts. Finite also where a probability is too small for a float. labels stay as they are.
    """
    logits, _ = model(input_ids)
    counts = labels != ignore_index  # (B, T)
    index = labels.masked_fill(~counts, 0).unsqueeze(-1)  # gather needs an index everywhere
    each = F.log_softmax(logits, dim=-1).gather(-1, index).squeeze(-1)  # (B, T, V) -> (B, T)
    return each.masked_fill(~counts, 0.0).sum(dim=-1)


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float = 0.1,
) -> tuple[Tensor, dict[str, float]]:
    """The DPO loss of a batch of pairs, and four numbers to watch.

        reward = beta * (policy - ref)                                 for each answer
        loss = mean of -ln sigmoid(reward of chosen - reward of rejected)

    All four arguments are (B,): log-probabilities from sequence_logprob. The loss is a tensor with no dimensions;
    finite for rewards of any size; ln 2 when policy and reference agree. No gradient flows to ref_chosen and
    ref_rejected, even if they could take one.
    The dict holds Python floats, means over the batch: "reward_chosen", "reward_rejected", "reward_margin" (chosen minus
    rejected) and "accuracy": the share of pairs whose chosen answer has the strictly higher reward.
    """
    chosen = beta * (policy_chosen - ref_chosen.detach())  # (B,)
    rejected = beta * (policy_rejected - ref_rejected.detach())
    margin = chosen - rejected
    metrics = {
        "reward_chosen": chosen.mean().item(),
        "reward_rejected": rejected.mean().item(),
        "reward_margin": margin.mean().item(),
        "accuracy": (margin > 0).float().mean().item(),
    }
    return -F.logsigmoid(margin).mean(), metrics
