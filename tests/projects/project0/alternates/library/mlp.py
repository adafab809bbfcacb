"""On torch's own functions: nn.functional, torch.optim.SGD, nn.init."""

import torch
import torch.nn.functional as F
from torch import nn


def windows(ids, context):
    both = ids.unfold(0, context + 1, 1)
    x, y = torch.tensor_split(both, [context], dim=1)
    return x.contiguous(), y.flatten()


def init(vocab_size, context, d_embed, d_hidden, generator):
    params = {
        "embedding": nn.Parameter(nn.init.normal_(torch.empty(vocab_size, d_embed), generator=generator)),
        "w1": nn.Parameter(torch.empty(context * d_embed, d_hidden)),
        "b1": nn.Parameter(torch.zeros(d_hidden)),
        "w2": nn.Parameter(torch.empty(d_hidden, vocab_size)),
        "b2": nn.Parameter(torch.zeros(vocab_size)),
    }
    # (in, out): what kaiming_normal_ calls fan_out is our fan_in
    nn.init.kaiming_normal_(params["w1"], mode="fan_out", nonlinearity="linear", generator=generator)
    nn.init.kaiming_normal_(params["w2"], mode="fan_out", nonlinearity="linear", generator=generator)
    params["w2"].data.mul_(0.1)
    return params


def forward(params, x):
    rows = F.embedding(x, params["embedding"]).flatten(start_dim=1)
    h = F.tanh(F.linear(rows, params["w1"].t(), params["b1"]))
    return F.linear(h, params["w2"].t(), params["b2"])


def loss(logits, y):
    return nn.CrossEntropyLoss()(logits, y)


def step(params, x, y, lr):
    optimizer = torch.optim.SGD(params.values(), lr=lr)
    optimizer.zero_grad()
    value = loss(forward(params, x), y)
    value.backward()
    optimizer.step()
    return value.item()
