"""Brought to the member's code by the checks of `checkpoint`: a small model, a run, and a disk that fails."""

import contextlib
import importlib
import os
import pickle
import random
import shutil
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Tiny(nn.Module):
    """A tied head, dropout, and buffers of several dtypes. x (B, T) -> (logits (B, T, V), None)."""

    def __init__(self, vocab=7, width=6):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.turned = nn.Parameter(torch.randn(width, width + 1).T)  # (7, 6), not contiguous
        self.gain = nn.Parameter(torch.tensor(1.5))  # no dimension
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(width, vocab, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("seen", torch.tensor(2**40 + 1))
        self.register_buffer("average", torch.zeros(width, dtype=torch.bfloat16))

    def forward(self, x):
        hidden = self.embed(x) * self.gain
        if self.training:
            self.seen += x.numel()
            self.average.lerp_(hidden.detach().mean((0, 1)).bfloat16(), 0.1)
        hidden = torch.tanh(self.drop(hidden @ self.turned.T)) @ self.turned
        return self.head(hidden), None


class Run:
    """Training that depends on everything: dropout, Python's and NumPy's random numbers, a generator for the data."""

    def __init__(self, seed, tokens):
        torch.manual_seed(seed)
        random.seed(seed + 1)
        np.random.seed(seed + 2)
        self.model = Tiny()
        matrices = [p for p in self.model.parameters() if p.dim() == 2]
        others = [p for p in self.model.parameters() if p.dim() < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
            lr=0.02,
            betas=(0.9, 0.95),
        )
        self.generator = torch.Generator().manual_seed(seed + 3)
        self.tokens = tokens

    def go(self, first, last):
        """Steps first to last - 1, each of two micro-batches."""
        for step in range(first, last):
            self.optimizer.zero_grad()
            for _ in range(2):
                starts = torch.randint(len(self.tokens) - 5, (3,), generator=self.generator).tolist()
                starts[0] = random.randrange(len(self.tokens) - 5)
                starts[1] = int(np.random.randint(len(self.tokens) - 5))
                rows = torch.stack([self.tokens[s : s + 5] for s in starts])
                logits, _ = self.model(rows[:, :-1])
                (F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()) / 2).backward()
            for group in self.optimizer.param_groups:
                group["lr"] *= 0.9 if step % 2 else 1.1
            self.optimizer.step()

    def data_state(self):
        return {
            "generator": self.generator.get_state().tolist(),
            "name": "dätä",
            "epoch": None,
            "parts": [1, 2.5],
        }

    def everything(self):
        """All values that a checkpoint must keep, by name."""
        found = dict(self.model.state_dict())
        for name, p in self.model.named_parameters():
            state = self.optimizer.state.get(p, {})
            found |= {f"{kind} of {name}": value for kind, value in state.items()}
        return {name: value.detach().clone() for name, value in found.items()}

    def rates(self):
        groups = self.optimizer.state_dict()["param_groups"]
        return [[group["lr"], group["weight_decay"], *group["betas"]] for group in groups]

    def pointers(self):
        """Whether the head is tied, and the optimizer still means the model's parameters."""
        mine = {p.data_ptr() for p in self.model.parameters()}
        known = {p.data_ptr() for group in self.optimizer.param_groups for p in group["params"]}
        return [self.model.head.weight is self.model.embed.weight, known == mine]


def save(module, path, run, step, config=None):
    module.save_checkpoint(
        path,
        model=run.model,
        optimizer=run.optimizer,
        step=step,
        rng=module.random_state(),
        config=config or {"d_model": 6},
        data_state=run.data_state(),
    )


def parts(save_checkpoint, load_checkpoint, random_state, restore_random_state):
    """The member's four functions as one thing."""
    return Parts(save_checkpoint, load_checkpoint, random_state, restore_random_state)


class Parts:
    def __init__(self, save_checkpoint, load_checkpoint, random_state, restore_random_state):
        self.save_checkpoint, self.load_checkpoint = save_checkpoint, load_checkpoint
        self.random_state, self.restore_random_state = random_state, restore_random_state


def resume(module, path, run):
    """Load into `run` and put its generators where they were. What load_checkpoint returned, without the rng."""
    found = module.load_checkpoint(path, model=run.model, optimizer=run.optimizer)
    module.restore_random_state(found["rng"])
    run.generator.set_state(torch.tensor(found["data_state"]["generator"], dtype=torch.uint8))
    return {key: found[key] for key in ("step", "config", "data_state")}


def draws():
    """The next numbers of each generator, without the fractions' last bits going missing."""
    found = {"python": [random.random(), random.gauss(0, 1), random.gauss(0, 1)]}
    found["numpy"] = [*np.random.random(2).tolist(), np.random.standard_normal()]
    found["torch"] = torch.rand(3, dtype=torch.float64).tolist() + torch.randn(2).tolist()
    return found


def scramble():
    torch.manual_seed(1)
    random.seed(2)
    np.random.seed(3)


def odd_draws():
    """So many that each generator is in the middle of something, such as the second of two normal numbers."""
    random.gauss(0, 1)
    np.random.standard_normal(3)
    torch.randn(5)


def load_quietly(module, path, run):
    """(the error's type, whether its message has the file's name), after trying to load."""
    try:
        module.load_checkpoint(path, model=run.model, optimizer=run.optimizer)
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        if "NotImplementedError" in kinds:
            raise
        return kinds, os.path.basename(path) in str(error)
    return ["no error"], False


def another_model(module, path, kind):
    """What loading into a model of another shape gives."""
    run = Run(5, torch.zeros(9, dtype=torch.int64))
    if kind == "wider":
        run.model = Tiny(width=8)
    else:
        run.model.more = nn.Parameter(torch.zeros(2))
    return load_quietly(module, path, run)


class Killed(BaseException):
    """Nobody is expected to catch this: the machine is off."""


def saved_and_killed(path, run, step, when):
    """What a save does to the disk, in order: "fsync" and "rename". The rename, or the first fsync, never returns."""
    events = []

    def stop(event, real):
        def instead(*args, **kwargs):
            events.append(event)
            if event == when:
                raise Killed
            return real(*args, **kwargs)

        return instead

    renames = [(os, "replace"), (os, "rename"), (os, "renames"), (shutil, "move")]
    syncs = [(os, name) for name in ("fsync", "fdatasync") if hasattr(os, name)]
    places = [(m, name, "rename") for m, name in renames] + [(m, name, "fsync") for m, name in syncs]
    real = [(module, name, getattr(module, name)) for module, name, _ in places]
    for module, name, event in places:
        setattr(module, name, stop(event, getattr(module, name)))
    try:
        module = fresh()  # names that it imported with `from os import replace` are then ours too
        with contextlib.suppress(Killed):
            save(module, path, run, step)
    finally:
        for owner, name, function in real:
            setattr(owner, name, function)
        forget()
    return events


def without_pickle(path, run, step):
    """Saves and loads with pickle taken away. Which of its functions were called."""
    called = []

    def stop(name):
        def instead(*args, **kwargs):
            called.append(name)
            raise RuntimeError(f"{name} was called: a checkpoint must not need pickle")

        return instead

    places = [(pickle, name) for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler")]
    places += [(torch, "save"), (torch, "load")]
    real = [(module, name, getattr(module, name)) for module, name in places]
    for module, name, _ in real:
        setattr(module, name, stop(f"{module.__name__}.{name}"))
    try:
        module = fresh()
        with contextlib.suppress(RuntimeError):
            save(module, path, run, step)
            resume(module, path, run)
    finally:
        for owner, name, function in real:
            setattr(owner, name, function)
        forget()
    return called


def forget():
    """Drop the member's modules, as far as checkpoint.py's folder goes."""
    folder = os.path.dirname(getattr(sys.modules.get("checkpoint"), "__file__", None) or "")
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name == "checkpoint" or (folder and file and os.path.dirname(file) == folder):
            del sys.modules[name]


def fresh():
    forget()
    return importlib.import_module("checkpoint")


def widen(run):
    """The tied matrix gets 3000 rows; the optimizer has no state yet."""
    run.model = Tiny(vocab=3000)
    run.optimizer = torch.optim.AdamW(run.model.parameters())
