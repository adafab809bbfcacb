"""With loops, as one would do it by hand."""

import math

import torch


def windows(ids, context):
    xs, ys = [], []
    for i in range(context, len(ids)):
        window = []
        for j in range(i - context, i):
            window.append(ids[j].item())
        xs.append(window)
        ys.append(ids[i].item())
    return torch.tensor(xs), torch.tensor(ys)


def init(vocab_size, context, d_embed, d_hidden, generator):
    embedding = torch.randn((vocab_size, d_embed), generator=generator)
    w1 = torch.randn((context * d_embed, d_hidden), generator=generator) * (1 / math.sqrt(context * d_embed))
    b1 = torch.zeros(d_hidden)
    w2 = torch.randn((d_hidden, vocab_size), generator=generator) * (0.1 / math.sqrt(d_hidden))
    b2 = torch.zeros(vocab_size)
    params = {"embedding": embedding, "w1": w1, "b1": b1, "w2": w2, "b2": b2}
    for name in params:
        params[name].requires_grad = True
    return params


def forward(params, x):
    all_logits = []
    for window in x:
        pieces = []
        for id in window:
            pieces.append(params["embedding"][id])
        long_row = torch.cat(pieces)
        h = torch.tanh(long_row @ params["w1"] + params["b1"])
        all_logits.append(h @ params["w2"] + params["b2"])
    return torch.stack(all_logits)


def loss(logits, y):
    total = 0
    for row, id in zip(logits, y):
        m = row.max()
        normaliser = m + torch.log(torch.exp(row - m).sum())
        total = total + normaliser - row[id]
    return total / len(y)


def step(params, x, y, lr):
    value = loss(forward(params, x), y)
    value.backward()
    for p in params.values():
        p.data = p.data - lr * p.grad
        p.grad.zero_()
    return float(value)
