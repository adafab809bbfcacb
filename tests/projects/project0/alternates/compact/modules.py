"""As short as it goes."""

import torch
import torch.nn.functional as F
from mlp import windows
from torch import nn


class MLP(nn.Module):
    def __init__(self, vocab_size, context, d_embed, d_hidden):
        super().__init__()
        self.context = context
        self.net = nn.Sequential(
            nn.Embedding(vocab_size, d_embed),
            nn.Flatten(),
            nn.Linear(context * d_embed, d_hidden),
            nn.Tanh(),
            nn.Linear(d_hidden, vocab_size),
        )
        self.forward = self.net.forward


def train(model, ids, steps, batch_size, lr, generator):
    (x, y), opt, out = windows(ids, model.context), torch.optim.AdamW(model.train().parameters(), lr), []
    for s in range(steps):
        opt.param_groups[0]["lr"] = lr - lr * s / steps
        i = torch.randperm(len(x), generator=generator)[:batch_size]
        l = F.cross_entropy(model(x[i]), y[i])
        out.append(l.item())
        model.zero_grad(), l.backward(), opt.step()
    return out


@torch.no_grad()
def evaluate(model, ids):
    was, (x, y) = model.training, windows(ids, model.context)
    l = F.cross_entropy(model.eval()(x), y).item()
    model.train(was)
    return l
