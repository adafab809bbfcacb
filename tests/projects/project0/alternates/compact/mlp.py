"""As short as it goes."""

import torch
import torch.nn.functional as F


def windows(ids, context):
    w = torch.stack([ids[i : len(ids) - context + i] for i in range(context + 1)], 1)
    return w[:, :-1], w[:, -1]


def init(vocab_size, context, d_embed, d_hidden, generator):
    r = lambda a, b, s: (torch.randn(a, b, generator=generator) * s).requires_grad_()
    z = lambda n: torch.zeros(n, requires_grad=True)
    n = context * d_embed
    return dict(
        w2=r(d_hidden, vocab_size, 0.1 * d_hidden**-0.5),
        embedding=r(vocab_size, d_embed, 1),
        b1=z(d_hidden),
        w1=r(n, d_hidden, n**-0.5),
        b2=z(vocab_size),
    )


def forward(params, x):
    p = params
    return (p["embedding"][x].view(len(x), -1) @ p["w1"] + p["b1"]).tanh() @ p["w2"] + p["b2"]


def loss(logits, y):
    return F.cross_entropy(logits, y)


def step(params, x, y, lr):
    l = loss(forward(params, x), y)
    for p, g in zip(params.values(), torch.autograd.grad(l, list(params.values()))):
        p.data -= lr * g
    return float(l)
