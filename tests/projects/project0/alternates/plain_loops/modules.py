"""With loops, and AdamW written out."""

import random

import torch
from torch import nn


class MLP(nn.Module):
    def __init__(self, vocab_size, context, d_embed, d_hidden):
        super().__init__()
        self.vocab_size = vocab_size
        self.context = context
        self.emb = nn.Embedding(vocab_size, d_embed)
        self.layers = nn.ModuleList([nn.Linear(context * d_embed, d_hidden), nn.Linear(d_hidden, vocab_size)])

    def forward(self, x):
        pieces = []
        for place in range(self.context):
            pieces.append(self.emb(x[:, place]))
        h = torch.cat(pieces, dim=1)
        for number, layer in enumerate(self.layers):
            h = layer(h)
            if number == 0:
                h = torch.tanh(h)
        return h


def nats(logits, y):
    total = 0
    for row, id in zip(logits, y):
        total = total - row.log_softmax(0)[id]
    return total / len(y)


def train(model, ids, steps, batch_size, lr, generator):
    model.train()
    n_windows = len(ids) - model.context
    params = [p for p in model.parameters() if p.requires_grad]
    first = [torch.zeros_like(p) for p in params]
    second = [torch.zeros_like(p) for p in params]
    losses = []
    for t in range(steps):
        rows, targets = [], []
        for _ in range(batch_size):
            i = int(torch.rand((), generator=generator, dtype=torch.float64) * n_windows)
            rows.append(ids[i : i + model.context])
            targets.append(ids[i + model.context])
        value = nats(model(torch.stack(rows)), torch.stack(targets))
        for p in params:
            p.grad = None
        value.backward()
        rate = lr * (1 - t / steps)
        with torch.no_grad():
            for p, m, v in zip(params, first, second):
                if p.grad is None:
                    continue
                p.mul_(1 - rate * 0.01)
                m.mul_(0.9).add_(p.grad, alpha=0.1)
                v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                m_hat = m / (1 - 0.9 ** (t + 1))
                v_hat = v / (1 - 0.999 ** (t + 1))
                p.sub_(rate * m_hat / (v_hat.sqrt() + 1e-8))
        losses.append(value.item())
    return losses


def evaluate(model, ids):
    before = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(model.context, len(ids), 100):
            end = min(start + 100, len(ids))
            x = torch.stack([ids[i - model.context : i] for i in range(start, end)])
            y = ids[start:end]
            total += nats(model(x), y).item() * (end - start)
            count += end - start
    if before:
        model.train()
    else:
        model.eval()
    return total / count
