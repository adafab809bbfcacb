"""Without a .backward and without a name that changes: torch.func, einsum, gather."""

from __future__ import annotations

import torch
from torch.func import grad_and_value


def windows(ids, context):
    n = ids.shape[0] - context
    x = torch.as_strided(ids.contiguous(), (n, context), (1, 1))
    return x.clone(), ids.narrow(0, context, n).clone()


def init(vocab_size, context, d_embed, d_hidden, generator):
    n = context * d_embed
    spreads = {
        "embedding": ((vocab_size, d_embed), 1.0),
        "w1": ((n, d_hidden), n**-0.5),
        "b1": ((d_hidden,), 0.0),
        "w2": ((d_hidden, vocab_size), 0.1 * d_hidden**-0.5),
        "b2": ((vocab_size,), 0.0),
    }
    return {
        name: torch.normal(0.0, 1.0, shape, generator=generator).mul(spread).requires_grad_()
        for name, (shape, spread) in spreads.items()
    }


def forward(params, x):
    rows = torch.index_select(params["embedding"], 0, x.reshape(-1))
    slots = rows.view(*x.shape, -1)
    w1 = params["w1"].view(x.shape[1], -1, params["w1"].shape[1])
    h = (torch.einsum("bce,ceh->bh", slots, w1) + params["b1"]).tanh()
    return torch.einsum("bh,hv->bv", h, params["w2"]) + params["b2"]


def loss(logits, y):
    return logits.log_softmax(-1).gather(-1, y[:, None]).mean().neg()


def step(params, x, y, lr):
    values = {name: p.detach() for name, p in params.items()}
    gradients, value = grad_and_value(lambda p: loss(forward(p, x), y))(values)
    params.update({name: (values[name] - lr * gradients[name]).requires_grad_() for name in values})
    return value.item()
