"""Brought to the member's code by the checks of `loop`: a small model that notes how it was used, and plain loops."""

import contextlib

import torch
import torch.nn.functional as F
from torch import nn


class Tiny(nn.Module):
    """x (B, T) -> (logits (B, T, V), None), or the mean loss in place of None if there are targets."""

    def __init__(self, vocab=7, width=5, dropout=0.0, dtype=torch.float64):
        super().__init__()
        self.embed = nn.Embedding(vocab, width, dtype=dtype)
        self.mix = nn.Linear(width, width, dtype=dtype)
        self.head = nn.Linear(width, vocab, dtype=dtype)
        self.drop = nn.Dropout(dropout)
        self.rows, self.dtypes, self.modes, self.logits = [], [], [], []

    def forward(self, x, targets=None):
        hidden = self.mix(self.embed(x))
        logits = self.head(self.drop(torch.tanh(hidden)))
        self.rows.append(len(x))
        self.dtypes.append(str(hidden.dtype).removeprefix("torch."))
        self.modes.append(self.training)
        self.logits.append(logits.detach().clone())
        return logits, None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters()}


def set_gradients(model, value):
    for p in model.parameters():
        p.grad = torch.full_like(p, value)


class Holder:
    """Parameters whose gradients are given; None: there is none."""

    def __init__(self, given):
        shapes = [(2,) if gradient is None else gradient.shape for gradient in given]
        self.params = [nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for shape in shapes]
        for p, gradient in zip(self.params, given, strict=True):
            p.grad = gradient

    def once(self):
        yield from self.params

    def now(self):
        return [p.grad for p in self.params]


def sgd(model, lr):
    """Plain gradient descent, with the parameters in two groups."""
    first, *others = model.parameters()
    return torch.optim.SGD([{"params": [first]}, {"params": others}], lr=lr)


class Log:
    """A callback that keeps what it is given."""

    def __init__(self):
        self.rows = []

    def __call__(self, row):
        self.rows.append(dict(row))


def plain_run(get_batch, lr_at, configure_optimizers, model, data, c):
    """The run that a configuration (a dict) means, without micro-batches. [{step, lr, loss, grad_norm}]"""
    optimizer = configure_optimizers(model, lr=c["max_lr"], weight_decay=c["weight_decay"])
    generator = torch.Generator().manual_seed(c["seed"])
    log = []
    for step in range(c["steps"]):
        words = {name: c[name] for name in ("max_lr", "min_lr", "warmup_steps")}
        lr = lr_at(step, **words, max_steps=c["steps"])
        x, y = get_batch(data.numpy(), c["batch_size"], c["block_size"], device="cpu", generator=generator)
        for group in optimizer.param_groups:
            group["lr"] = lr
        model.zero_grad()
        loss = F.cross_entropy(model(x)[0].flatten(0, 1), y.flatten())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), c["max_norm"])
        optimizer.step()
        log.append({"step": step, "lr": lr, "loss": loss.item(), "grad_norm": norm.item()})
    return log


def batches(get_batch, data, c, count):
    """The first `count` batches from a new generator with the configuration's seed."""
    generator = torch.Generator().manual_seed(c["seed"])
    words = {"device": "cpu", "generator": generator}
    return [get_batch(data.numpy(), c["batch_size"], c["block_size"], **words) for _ in range(count)]


def run(train, make_config, model, train_data, val_data, c):
    """(losses, validation losses, what the callbacks got, in training mode?) of the member's own run."""
    first, second = Log(), Log()
    result = train(make_config(**c), model, train_data.numpy(), val_data.numpy(), callbacks=[first, second])
    return list(result.losses), dict(result.val_losses), first.rows, second.rows, model.training


def run_in_two_parts(train, make_config, model, data, c, first):
    """`first` steps, then another call that goes on with the same optimizer and generator. The second part's losses."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    generator = torch.Generator().manual_seed(c["seed"] + 1)
    seen = Log()

    def stop(row):
        if row["step"] == first - 1:
            raise InterruptedError

    words = {"optimizer": optimizer, "generator": generator}
    tokens = data.numpy()
    with contextlib.suppress(InterruptedError):
        train(make_config(**c), model, tokens, tokens, callbacks=[stop], **words)
    train(make_config(**c), model, tokens, tokens, callbacks=[seen], start_step=first, **words)
    return [row["step"] for row in seen.rows]


def run_in_one_part(get_batch, lr_at, model, data, c):
    """The same without a break."""
    config = {**c, "seed": c["seed"] + 1}
    plain_run(
        get_batch, lr_at, lambda m, lr, weight_decay: torch.optim.AdamW(m.parameters()), model, data, config
    )
