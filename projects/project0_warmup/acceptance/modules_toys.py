"""Brought to the member's code by the checks of `modules` and `tuning`: models that note how they were used.

Each has an attribute `context`, as the member's MLP has, and is called with x (B, C).
"""

import torch
from torch import nn


class Watched(nn.Module):
    """Logits from the last id alone: a table. Notes each batch, the mode, and whether gradients were on."""

    def __init__(self, vocab, context, values=None):
        super().__init__()
        self.context = context
        self.table = nn.Parameter(
            torch.zeros(vocab, vocab, dtype=torch.float64) if values is None else values
        )
        self.drop = nn.Dropout(0.5)
        self.seen, self.modes, self.tracked = [], [], []

    def forward(self, x):
        self.seen.append(x.clone())
        self.modes.append(self.training)
        self.tracked.append(torch.is_grad_enabled())
        return self.drop(self.table[x[:, -1]])


class Quiet(nn.Module):
    """A small network without chance: the embeddings of the window, their sum, tanh, output. In float64."""

    def __init__(self, context, embed, out):
        super().__init__()
        self.context = context
        self.embed, self.out = nn.Parameter(embed), nn.Parameter(out)

    def forward(self, x):
        return torch.tanh(self.embed[x].sum(1)) @ self.out


class Knows(nn.Module):
    """Is sure of one id: the window's last plus one. Its only parameter does nothing to speak of."""

    def __init__(self, vocab, context):
        super().__init__()
        self.context, self.vocab = context, vocab
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x):
        right = nn.functional.one_hot((x[:, -1] + 1) % self.vocab, self.vocab)
        return 40.0 * (1.0 + 0.0 * self.scale) * right.double()


def run(model, ids, steps, batch_size, lr, seed, calls=1, noise=0):
    """The losses of several calls of train in a row, with one generator, and their types."""
    from modules import train

    torch.default_generator.manual_seed(noise)
    generator = torch.Generator().manual_seed(seed)
    said = [loss for _ in range(calls) for loss in train(model, ids, steps, batch_size, lr, generator)]
    return [float(loss) for loss in said], sorted({type(loss).__name__ for loss in said})


def copied(first, second, x):
    """first's state_dict into second; what second then says, in float64, and the names in the state_dict."""
    state = {name: value.clone() for name, value in first.state_dict().items()}
    second.load_state_dict(state)
    return second.double()(x), sorted(state)


def touched(model):
    """Which parameters have a gradient that is not zero."""
    return [name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())]
