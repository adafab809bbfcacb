"""What a job trains on: a task gives batches and says how well the model does.

A task numbers its sequences 0, 1, 2, … without end, and what a number stands for depends on nothing but the seed.
So the data of any step can be asked for again, by any process: a resumed run goes on exactly where it stopped, and
several processes share one batch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from cohort_cli.training.adapters import adapters
from cohort_cli.training.config import Config
from cohort_cli.training.data.batches import Sequences
from cohort_cli.training.data.shards import TokenFolder
from cohort_cli.training.data.tokenizer import Tokenizer
from cohort_cli.training.models.gpt import sample
from cohort_cli.training.parts import Parts, network, wrong


class Batch(NamedTuple):
    """Some sequences as tensors on the CPU. `counted` is how many of its targets the loss is a mean over."""

    tensors: tuple[Tensor, ...]
    counted: int


class Task(Protocol):
    """What the loop needs to know. Losses are nats per counted target."""

    tokenizer: Tokenizer
    identity: str  # of the data, so that a run notices when it is another one
    notes: list[str]  # what was left out, or is done otherwise than asked

    def adapt(self, model: nn.Module, vocab_size: int) -> nn.Module:
        """What is trained: the network itself, or the network with what this task adds to it."""
        ...

    def batch(self, first: int, count: int) -> Batch:
        """Sequences first … first + count - 1."""
        ...

    def counted(self, first: int, count: int) -> int:
        """How many targets these sequences have, without making them."""
        ...

    def loss(self, model: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        """The mean loss over the counted targets of a batch that is on the model's device."""
        ...

    def validation(self) -> list[Batch]:
        """The held-out data, cut into batches."""
        ...

    def report(self, nats: float) -> dict[str, float]:
        """What else the mean validation loss says, by name."""
        ...

    def score(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Measures beside the loss, such as accuracy; most have none."""
        ...

    def sample(self, model: nn.Module, step: int, device: torch.device) -> tuple[str, str] | None:
        """(prompt, what the model makes of it), with random numbers that change nothing about the training."""
        ...


def loss_of(parts: Parts, model: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
    """The loss of a language model, which gives (logits, loss). It may be the member's own."""
    part = network(parts)
    out = model(*tensors)
    if not isinstance(out, tuple) or len(out) != 2:
        raise wrong(part, out, "a pair, logits and loss")
    loss = out[1]
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.is_floating_point():
        raise wrong(part, loss, "as its loss one number in a tensor")
    return loss.reshape(())


class Pretrain:
    """Predict the next token of a text.

    x, y (B, T) int64: y is x, one token later.
    """

    def __init__(self, tokens: TokenFolder, config: Config, parts: Parts) -> None:
        self.tokens, self.config, self.parts = tokens, config, parts
        self.tokenizer = tokens.tokenizer
        self.identity = tokens.identity
        self.notes: list[str] = []
        self.length = config.batch.length
        self.sequences = Sequences(tokens.split("train"), self.length, config.run.seed)
        self.get_batch = parts.take("batches", "get_batch")
        shards = len(tokens.split("train").lengths)
        self.train_ids = tokens.split("train").shard(0) if shards == 1 else None
        if self.get_batch is not None and self.train_ids is None:
            self.notes.append(
                f"your get_batch takes one shard, and there are {shards}: the kit's batches are used"
            )

    def adapt(self, model: nn.Module, vocab_size: int) -> nn.Module:
        return adapters(self.config, self.parts)(model)

    def batch(self, first: int, count: int) -> Batch:
        if self.get_batch is not None and self.train_ids is not None:
            return self._own_batch(first, count)
        rows = torch.from_numpy(self.sequences.rows(first, count))  # (count, T + 1)
        return Batch((rows[:, :-1], rows[:, 1:]), count * self.length)

    def _own_batch(self, first: int, count: int) -> Batch:
        """The member's get_batch, asked for one sequence at a time, with a generator that depends on the seed and the
        sequence's number alone. So what a number stands for does not depend on who asks, or for how many."""
        rows = []
        for number in range(first, first + count):
            digest = hashlib.sha256(f"{self.config.run.seed}:{number}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
            pair = self.get_batch(self.train_ids, 1, self.length, device="cpu", generator=generator)
            if not isinstance(pair, tuple) or not all(map(self._is_a_row, pair)) or len(pair) != 2:
                raise wrong(
                    "batches",
                    pair,
                    f"inputs and targets, each (1, {self.length}) int64 ids of the vocabulary",
                )
            rows.append(pair)
        x, y = (torch.cat(part) for part in zip(*rows, strict=True))
        return Batch((x, y), count * self.length)

    def _is_a_row(self, ids: Any) -> bool:
        is_row = isinstance(ids, Tensor) and ids.dtype == torch.int64 and ids.shape == (1, self.length)
        return is_row and 0 <= int(ids.min()) <= int(ids.max()) < self.tokenizer.vocab_size

    def counted(self, first: int, count: int) -> int:
        return count * self.length

    def loss(self, model: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        return loss_of(self.parts, model, tensors)

    def validation(self) -> list[Batch]:
        """The validation text in order, each token predicted once; the last window may be shorter."""
        return list(self._windows())

    def _windows(self) -> Iterator[Batch]:
        wanted = self.config.run.eval_tokens or math.inf
        rows: list[Tensor] = []
        for window in self.tokens.split("validation").windows(self.length):
            row = torch.from_numpy(window)
            if rows and len(row) != len(rows[0]):
                yield _stack(rows)
                rows = []
            rows.append(row)
            wanted -= len(row) - 1
            if len(rows) == self.config.batch.micro_sequences or wanted <= 0:
                yield _stack(rows)
                rows = []
            if wanted <= 0:
                return
        if rows:
            yield _stack(rows)

    def report(self, nats: float) -> dict[str, float]:
        bytes_per_token = self.tokens.split("validation").bytes_per_token
        return {
            "perplexity": math.exp(min(nats, 700.0)),
            "bits_per_byte": nats / math.log(2) / bytes_per_token,
        }

    def score(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        return {}

    def sample(self, model: nn.Module, step: int, device: torch.device) -> tuple[str, str] | None:
        """The prompt of the preset, continued at temperature 0.8."""
        run = self.config.run
        if not run.sample_tokens:
            return None
        ids = torch.tensor([self.tokenizer.encode(run.sample_prompt)], device=device)
        generator = torch.Generator(device).manual_seed(run.seed)
        own: Any = getattr(model, "generate", None)
        if own is not None:
            ids = own(ids, run.sample_tokens, temperature=0.8, generator=generator)
        else:
            for _ in range(run.sample_tokens):
                logits = model(ids[:, -self.config.model.context :])[0][:, -1].float()  # (1, V)
                ids = torch.cat([ids, sample(logits, 0.8, None, generator)], dim=1)
        known = [id for id in ids[0].tolist() if id < self.tokenizer.vocab_size]
        return run.sample_prompt, self.tokenizer.decode(known)


def _stack(rows: list[Tensor]) -> Batch:
    window = torch.stack(rows)
    return Batch((window[:, :-1], window[:, 1:]), window[:, 1:].numel())
