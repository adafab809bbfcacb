"""What the three tasks share: an endless order of examples, a tokenizer, and adapters beside frozen weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from cohort_cli.errors import UsageError
from cohort_cli.training.data.choose import choose
from cohort_cli.training.data.tokenizer import Tokenizer
from cohort_cli.training.finetune.records import Record


class Order:
    """Example n of an endless sequence: each of `count` examples once per epoch, every epoch in another order."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, n: int) -> int:
        epoch, place = divmod(n, self.count)
        if epoch != self._epoch:
            # RandomState keeps its numbers through all versions of NumPy. It takes words of 32 bits
            words = [self.seed >> shift & 0xFFFFFFFF for shift in range(32, self.seed.bit_length(), 32)]
            self._order = np.random.RandomState([self.seed & 0xFFFFFFFF, *words, epoch]).permutation(
                self.count
            )
            self._epoch = epoch
        return int(self._order[place])


def tokenizer_for(word: str, texts: list[str]) -> Tokenizer:
    """The tokenizer that [data] names; "characters" takes its alphabet from the texts."""
    return choose(word).make(lambda: iter(texts))


def end_id(tokenizer: Tokenizer) -> int:
    """The id that closes an answer: <|endoftext|>, or the last id, which no known character has."""
    return tokenizer.vocab_size - 1 if tokenizer.end_of_text is None else tokenizer.end_of_text


def all_texts(splits: dict[str, list[Record]]) -> list[str]:
    return [text for records in splits.values() for record in records for text in record.values()]


def train_last_blocks(model: nn.Module, count: int) -> None:
    """Freeze all but the last `count` blocks and what comes after them; 0 trains everything."""
    from cohort_cli.training.distributed import blocks

    layers = blocks(model)
    if not count or count >= len(layers):
        return
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for block in layers[-count:]:
        block.requires_grad_(True)
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "ln_f":
            module.requires_grad_(True)


class Backbone(nn.Module):
    """A language model without its head: ids (B, T) -> what the head would see, (B, T, C)."""

    def __init__(self, model: nn.Module, vocab_size: int) -> None:
        super().__init__()
        self.model = model
        self.has_hidden = hasattr(model, "hidden")
        if not self.has_hidden:
            _drop_head(model, vocab_size)
        elif model.lm_head.weight is not model.wte.weight:  # type: ignore[union-attr]
            model.lm_head.requires_grad_(False)  # a head that is not asked learns nothing

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        see: Any = self.model
        out: torch.Tensor = see.hidden(ids) if self.has_hidden else see(ids)[0]
        return out


def _drop_head(model: nn.Module, vocab_size: int) -> None:
    """Put nothing in the place of the layer that scores the vocabulary."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and module.out_features == vocab_size:
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, nn.Identity())
            return
    raise UsageError(
        "Your GPT has no nn.Linear that scores the vocabulary, so the classifier cannot see what comes before it.",
        "Train the kit's network: --model reference",
    )
