"""With names of one's own, and a helper file."""

from __future__ import annotations

import torch
from cutting import beginnings, cut, surprise
from torch import Tensor

NAMES = ("embedding", "w1", "b1", "w2", "b2")


def windows(ids: Tensor, context: int) -> tuple[Tensor, Tensor]:
    return cut(ids, beginnings(len(ids), context), context)


def init(
    vocab_size: int, context: int, d_embed: int, d_hidden: int, generator: torch.Generator
) -> dict[str, Tensor]:
    def matrix(rows: int, columns: int, spread: float) -> Tensor:
        drawn = torch.empty(rows, columns)
        torch.nn.init.normal_(drawn, std=spread, generator=generator)
        drawn.requires_grad = True
        return drawn

    incoming = d_embed * context
    return {
        "embedding": matrix(vocab_size, d_embed, 1.0),
        "w1": matrix(incoming, d_hidden, incoming**-0.5),
        "b1": torch.zeros(d_hidden, requires_grad=True),
        "w2": matrix(d_hidden, vocab_size, 0.1 / d_hidden**0.5),
        "b2": torch.zeros(vocab_size, requires_grad=True),
    }


def forward(params: dict[str, Tensor], x: Tensor) -> Tensor:
    table, into, push, out, tilt = (params[name] for name in NAMES)
    neighbours = [table[x[:, slot]] for slot in range(x.shape[1])]
    squeezed = torch.tanh(torch.cat(neighbours, dim=1).matmul(into).add(push))
    return squeezed.matmul(out).add(tilt)


def loss(logits: Tensor, y: Tensor) -> Tensor:
    return surprise(logits, y).mean()


def step(params: dict[str, Tensor], x: Tensor, y: Tensor, lr: float) -> float:
    cost = loss(forward(params, x), y)
    cost.backward()
    for name in list(params):
        old = params[name]
        params[name] = (old.detach() - lr * old.grad).requires_grad_(True)
    return cost.item()
