"""Brought to the member's code by the checks of `pretrain`: a small model that notes what it was shown."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

WIDTH = 6


class Tiny(nn.Module):
    """Built as a GPT is, without attention: each position sees the mean of what is before it.

    It notes, of each call: the tokens, the targets, whether it was in training mode.
    """

    def __init__(self, vocab, block_size):
        super().__init__()
        self.config = SimpleNamespace(
            block_size=block_size, vocab_size=vocab, n_layer=1, n_head=1, n_embd=WIDTH, dropout=0.0, bias=True
        )
        self.wte = nn.Embedding(vocab, WIDTH, dtype=torch.float64)
        self.wpe = nn.Embedding(block_size, WIDTH, dtype=torch.float64)
        self.c_fc = nn.Linear(WIDTH, WIDTH, dtype=torch.float64)
        self.ln_f = nn.LayerNorm(WIDTH, dtype=torch.float64)
        self.lm_head = nn.Linear(WIDTH, vocab, bias=False, dtype=torch.float64)
        self.lm_head.weight = self.wte.weight
        self.factor = 1.0  # of the logits in training mode
        self.tokens, self.targets, self.modes = [], [], []

    def forward(self, idx, targets=None, *, kv_cache=None):
        T = idx.size(1)
        if self.config.block_size < T:
            raise ValueError(f"{T} tokens are more than block_size = {self.config.block_size}")
        self.tokens.append(idx.detach().clone())
        self.targets.append(None if targets is None else targets.detach().clone())
        self.modes.append(self.training)
        x = self.wte(idx) + self.wpe(torch.arange(T))
        x = x.cumsum(1) / torch.arange(1, T + 1, dtype=torch.float64).unsqueeze(1)
        logits = self.lm_head(self.ln_f(x + torch.tanh(self.c_fc(x))))
        if self.training:
            logits = logits * self.factor
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)


def other_in_training(model):
    """Training mode shows in the loss from now on, as dropout does; but always in the same way."""
    model.factor = 3.0


def pretrain(function, model, ids, seed=None, **options):
    """The member's pretrain; (losses, what the model was shown, and in which modes)."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    losses = function(model, ids, generator=generator, **options)
    return losses, model.tokens, model.targets, model.modes


def evaluate(model, x, y):
    """The loss of a GPT on these windows, in eval mode."""
    model.eval()
    with torch.no_grad():
        return float(model(x, y)[1])
