"""From logits to text: a temperature, and one character after the other.    Step: temperature

V = vocab_size, C = model.context.

Source: makemore part 2, https://www.youtube.com/watch?v=TCH_1BHY58I.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from modules import MLP
from torch import Tensor


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """logits (..., V) -> (..., V): softmax of logits / temperature over the last dimension.

    Temperature 1 is plain softmax. Temperature 0 means its limit: 1 for the highest logit (there is only one that is
    highest), 0 for the others. Logits of several thousand give finite results. A temperature below 0 is a ValueError.
    """
    if temperature < 0:
        raise ValueError(f"temperature is {temperature}; it must be 0 or more")
    if temperature == 0:
        return F.one_hot(logits.argmax(dim=-1), logits.size(-1)).to(logits.dtype)
    highest = logits.max(dim=-1, keepdim=True).values
    return ((logits - highest) / temperature).softmax(dim=-1)


def entropy(p: Tensor) -> Tensor:
    """p (..., V), each row adds up to 1 -> (...): the entropy in nats, the sum of -p ln p. 0 ln 0 counts as 0."""
    return -torch.xlogy(p, p).sum(dim=-1)


def generate(
    model: MLP, context_ids: Sequence[int], n: int, temperature: float, generator: torch.Generator
) -> list[int]:
    """n new ids, one after the other, as a list of Python ints; context_ids are not part of it, and stay as they are.

    The model gets x (1, C): the last C ids of context_ids and of what it has said so far. The next id is drawn with the
    generator from probabilities(logits, temperature). In evaluation mode and without gradients; afterwards
    the model is in the mode in which it was. Raises ValueError if context_ids has fewer than C ids.
    """
    if len(context_ids) < model.context:
        raise ValueError(f"{len(context_ids)} ids to begin with; the model needs {model.context}")
    ids = list(context_ids)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for _ in range(n):
            logits = model(torch.tensor([ids[-model.context :]]))[0]
            p = probabilities(logits, temperature)
            ids.append(int(torch.multinomial(p, 1, generator=generator)))
    model.train(was_training)
    return ids[len(context_ids) :]
