"""One small training run, right or with one fault. The same fault, seed and steps give the same numbers on one machine.

    for event in run(fault, seed, steps): ...     {"event": "progress", ...} at each step, then {"event": "result", ...}

The faults of the data, the loss and the loop are the lines with `fault ==` in this file; those of the model stand in
network.py. B batch, T time, V characters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cohort_cli.training.breaking import game
from cohort_cli.training.breaking.honest import honest_loss
from cohort_cli.training.breaking.network import CONTEXT, GPT

BATCH, MICRO = 16, 2  # sequences of a step, and the micro-batches that they come in
RATE, WARM_UP, DECAY, CLIP = 3e-3, 20, 0.1, 1.0
EVALUATIONS = 10  # over the run, and one before it
SCORED = 64  # windows of held-out text, spread evenly over it
SAMPLE, PROMPT, TEMPERATURE = 200, "The ", 0.8


class Data(NamedTuple):
    """The corpus as numbers."""

    letters: list[str]
    train: Tensor
    validation: Tensor


def load() -> Data:
    train, validation = game.corpus_text()
    letters = sorted(set(train) | set(validation))
    number = {letter: index for index, letter in enumerate(letters)}
    return Data(letters, *(torch.tensor([number[letter] for letter in part]) for part in (train, validation)))


def run(fault: str, seed: int, steps: int, data: Data | None = None) -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    data = data or load()
    model = GPT(len(data.letters), fault)
    optimizer = make_optimizer(model, fault)
    training: list[float] = []
    every = max(1, steps // EVALUATIONS)
    reported: list[tuple[int, float]] = [(0, evaluate(model, data, fault))]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps, fault)
        training.append(take_step(model, optimizer, draw(data.train, step, seed, fault), fault))
        if (step + 1) % every == 0 or step + 1 == steps:
            reported.append((step + 1, evaluate(model, data, fault)))
        yield {"event": "progress", "done": step + 1, "of": steps}
    starts = scored(data.validation).tolist()
    model.eval()
    yield {
        "event": "result",
        "training": [_finite(loss) for loss in training],
        "reported": [(step, _finite(loss)) for step, loss in reported],
        "honest": _finite(honest_loss(model, data.validation.tolist(), starts, CONTEXT)),
        "sample": write(model, data, seed),
    }


# --- data and loss ---------------------------------------------------------------------------------------------


def draw(ids: Tensor, step: int, seed: int, fault: str) -> tuple[Tensor, Tensor]:
    """A batch of this step: windows (B, T) from anywhere in the text, and their targets (B, T)."""
    if fault == "same-batch-for-ever":
        step = 0
    chance = torch.Generator().manual_seed(1_000_003 * seed + step)
    x, y = windows(ids, torch.randint(len(ids) - CONTEXT - 2, (BATCH,), generator=chance), fault)
    if fault == "targets-of-another-row":
        y = y.roll(1, dims=0)
    return x, y


def windows(ids: Tensor, starts: Tensor, fault: str) -> tuple[Tensor, Tensor]:
    """The texts of CONTEXT characters at `starts`, and for each position its target: the character that follows."""
    shift = {"targets-not-shifted": 0, "targets-shifted-twice": 2}.get(fault, 1)
    places = starts[:, None] + torch.arange(CONTEXT)  # (B, T)
    return ids[places], ids[places + shift]


def loss_of(logits: Tensor, targets: Tensor, fault: str) -> Tensor:
    """Mean cross-entropy, nats per target. logits (B, T, V), targets (B, T)."""
    if fault == "softmax-twice":
        logits = functional.softmax(logits, dim=-1)  # cross_entropy applies its own softmax to what it gets
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def scored(ids: Tensor) -> Tensor:
    return torch.linspace(0, len(ids) - CONTEXT - 3, SCORED).long()


@torch.no_grad()
def evaluate(model: nn.Module, data: Data, fault: str) -> float:
    """What the run reports: the loss on text that it does not train on, by the run's own data and loss."""
    ids = data.train if fault == "eval-on-the-training-text" else data.validation
    x, y = windows(ids, scored(ids), fault)
    return float(loss_of(model(x), y, fault))


# --- the loop --------------------------------------------------------------------------------------------------


def make_optimizer(model: nn.Module, fault: str) -> torch.optim.Optimizer:
    if fault == "sgd-instead-of-adamw":
        return torch.optim.SGD(model.parameters(), RATE)
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, RATE, betas=(0.9, 0.99))


def rate(step: int, steps: int, fault: str) -> float:
    """Up in WARM_UP steps, then down in a straight line to a tenth."""
    factor = {"learning-rate-too-high": 100.0, "learning-rate-too-low": 0.01}.get(fault, 1.0)
    return factor * RATE * min((step + 1) / WARM_UP, 1.0 - 0.9 * step / steps)


def take_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor], fault: str
) -> float:
    """One step of the optimizer. Returns the training loss: the mean over the batch."""
    if fault != "zero-grad-forgotten":
        optimizer.zero_grad()
    mean = add_gradients(model, batch, fault)
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    return mean


def add_gradients(model: nn.Module, batch: tuple[Tensor, Tensor], fault: str) -> float:
    """The gradient of the batch, from micro-batches. Returns the mean loss."""
    mean = 0.0
    for x, y in zip(*(part.chunk(MICRO) for part in batch), strict=True):
        loss = loss_of(model(x), y, fault)
        mean += loss.item() / MICRO
        (loss if fault == "accumulation-not-scaled" else loss / MICRO).backward()
    return mean


# --- what the model writes -------------------------------------------------------------------------------------


@torch.no_grad()
def write(model: nn.Module, data: Data, seed: int) -> str:
    """SAMPLE characters behind PROMPT, one after the other, each drawn from what the model says."""
    chance = torch.Generator().manual_seed(seed)
    ids = [data.letters.index(letter) for letter in PROMPT]
    for _ in range(SAMPLE):
        logits = model(torch.tensor([ids[-CONTEXT:]]))[0, -1]  # (V,)
        if not bool(logits.isfinite().all()):
            break
        ids.append(int(torch.multinomial(functional.softmax(logits / TEMPERATURE, -1), 1, generator=chance)))
    return "".join(data.letters[index] for index in ids)


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None
