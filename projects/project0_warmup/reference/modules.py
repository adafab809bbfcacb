"""The same network as a module, and the loop that trains it.    Step: modules

N windows, B batch, V = vocab_size, C = context, E = d_embed, H = d_hidden.

Source: Bengio et al. 2003, "A Neural Probabilistic Language Model"; makemore part 2,
https://www.youtube.com/watch?v=TCH_1BHY58I.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mlp import windows
from torch import Tensor, nn


class MLP(nn.Module):
    """Embedding, hidden layer with tanh, output layer. It keeps `context` as an attribute: others ask for it.

    Its parameters, all registered so that `parameters()`, `state_dict()` and `double()` find them: one nn.Embedding
    (V, E), one nn.Linear from C * E to H and one from H to V, both with a bias. Start them as torch does.
    """

    def __init__(self, vocab_size: int, context: int, d_embed: int, d_hidden: int) -> None:
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(vocab_size, d_embed)
        self.hidden = nn.Linear(context * d_embed, d_hidden)
        self.output = nn.Linear(d_hidden, vocab_size)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C) int64 -> logits (B, V). The same function as mlp.forward, given the same weights."""
        rows = self.embedding(x).flatten(1)  # (B, C, E) -> (B, C * E)
        logits: Tensor = self.output(torch.tanh(self.hidden(rows)))
        return logits


def train(
    model: MLP, ids: Tensor, steps: int, batch_size: int, lr: float, generator: torch.Generator
) -> list[float]:
    """Train on random windows of ids (T,), and give the loss of every step, as Python floats in nats.

    Each step draws batch_size windows with the generator: all N = T - C windows are equally likely, each time anew
    (the same one may come twice). C is model.context. The mean cross-entropy of the batch is the loss of the step,
    before the update. The update is torch.optim.AdamW's, with its own defaults but for the learning rate: that falls
    in a straight line, lr * (1 - step / steps) at step 0, 1, 2 … So the first step has lr, and the last lr / steps.
    The model is in training mode. All chance comes from the generator.
    """
    x, y = windows(ids, model.context)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    model.train()
    losses = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps)
        batch = torch.randint(len(y), (batch_size,), generator=generator)
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def evaluate(model: MLP, ids: Tensor) -> float:
    """The mean loss in nats over all N windows of ids (T,), as a Python float.

    Every window counts the same. In evaluation mode and without gradients; afterwards the model is in the mode in
    which it was. A long text does not fit into one batch: take a few thousand windows at a time.
    """
    x, y = windows(ids, model.context)
    was_training = model.training
    model.eval()
    total = 0.0
    with torch.no_grad():
        for some_x, some_y in zip(x.split(4096), y.split(4096), strict=True):
            total += F.cross_entropy(model(some_x), some_y, reduction="sum").item()
    model.train(was_training)
    return total / len(y)
