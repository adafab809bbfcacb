"""With names of one's own: the parameters are called as their author likes."""

from __future__ import annotations

import torch
from cutting import beginnings, cut, surprise
from torch import Tensor, nn


class MLP(nn.Module):
    def __init__(self, vocab_size: int, context: int, d_embed: int, d_hidden: int) -> None:
        super().__init__()
        self.voice = nn.Linear(d_hidden, vocab_size)
        self.thought = nn.Linear(d_embed * context, d_hidden)
        self.letters = nn.Embedding(num_embeddings=vocab_size, embedding_dim=d_embed)
        self.context = context

    def forward(self, window: Tensor) -> Tensor:
        side_by_side = self.letters(window).reshape(window.size(0), -1)
        return self.voice(self.thought(side_by_side).tanh())


def train(
    model: MLP, ids: Tensor, steps: int, batch_size: int, lr: float, generator: torch.Generator
) -> list[float]:
    starts = beginnings(len(ids), model.context)
    pupil = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    model.train(True)
    diary: list[float] = []
    while len(diary) < steps:
        pupil.param_groups[0]["lr"] = lr * (steps - len(diary)) / steps
        chosen = starts[torch.randint(0, len(starts), (batch_size,), generator=generator)]
        seen, next_ones = cut(ids, chosen, model.context)
        cost = surprise(model(seen), next_ones).mean()
        pupil.zero_grad(set_to_none=False)
        cost.backward()
        pupil.step()
        diary.append(float(cost))
    return diary


def evaluate(model: MLP, ids: Tensor) -> float:
    starts, mode, costs = beginnings(len(ids), model.context), model.training, []
    model.train(False)
    with torch.no_grad():
        for some in starts.split(1000):
            seen, next_ones = cut(ids, some, model.context)
            costs.append(surprise(model(seen), next_ones).double())
    model.train(mode)
    return torch.cat(costs).mean().item()
