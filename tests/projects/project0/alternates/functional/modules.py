"""Raw matrices, x @ W, in a module; gradients from torch.autograd.grad."""

from __future__ import annotations

import torch
from torch import nn


class MLP(nn.Module):
    def __init__(self, vocab_size, context, d_embed, d_hidden):
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(vocab_size, d_embed)
        wide = context * d_embed
        self.w_hidden = nn.Parameter(torch.empty(wide, d_hidden).uniform_(-(wide**-0.5), wide**-0.5))
        self.b_hidden = nn.Parameter(torch.empty(d_hidden).uniform_(-(wide**-0.5), wide**-0.5))
        self.w_output = nn.Parameter(torch.empty(d_hidden, vocab_size).uniform_(-(d_hidden**-0.5), d_hidden**-0.5))
        self.b_output = nn.Parameter(torch.empty(vocab_size).uniform_(-(d_hidden**-0.5), d_hidden**-0.5))

    def forward(self, x):
        rows = torch.einsum("bcv,ve->bce", nn.functional.one_hot(x, self.embedding.num_embeddings).to(self.embedding.weight.dtype), self.embedding.weight)
        h = torch.tanh(torch.addmm(self.b_hidden, rows.flatten(1), self.w_hidden))
        return torch.addmm(self.b_output, h, self.w_output)


def _nats(logits, y):
    return (logits.logsumexp(-1) - logits.gather(-1, y[:, None])[:, 0])


def train(model, ids, steps, batch_size, lr, generator):
    whole = ids.unfold(0, model.context + 1, 1)
    model.train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([{"params": weights[:1]}, {"params": weights[1:]}] if len(weights) > 1 else weights, lr=lr)

    def one(t):
        rows = whole[torch.multinomial(torch.ones(len(whole)), batch_size, replacement=True, generator=generator)]
        value = _nats(model(rows[:, :-1]), rows[:, -1]).mean()
        for p, g in zip(weights, torch.autograd.grad(value, weights, allow_unused=True)):
            p.grad = g
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - t / steps)
        optimizer.step()
        return value.detach().item()

    return [one(t) for t in range(steps)]


def evaluate(model, ids):
    mode = model.training
    whole = ids.unfold(0, model.context + 1, 1)
    with torch.inference_mode():
        model.eval()
        total = sum(_nats(model(some[:, :-1]), some[:, -1]).sum() for some in whole.split(2048))
        model.train(mode)
    return float(total) / len(whole)
