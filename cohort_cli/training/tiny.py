"""Trains the small GPT of Project 2 on single characters, on a CPU, in well under a minute.

    python -m cohort_cli.training.tiny FOLDER [--steps N] [--seed N]

FOLDER holds `model.py` with GPT and GPTConfig. Progress goes to standard output, one JSON object per line:
{"step": …, "loss": …} while it trains, then {"validation": …, "bigram": …, "sample": …}. Losses are nats per character.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from typing import Any

import torch
from torch import Tensor

from cohort_cli.training import corpus

CONTEXT = 64  # characters
BATCH = 24  # sequences
LEARNING_RATE = 3e-3
WARM_UP = 20  # steps
EVAL_BATCHES = 20
SAMPLE = 320  # characters
PROMPT = "The "


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small character-level GPT.")
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.path.insert(0, options.folder)
    torch.manual_seed(options.seed)
    train(importlib.import_module("model"), options.steps)


def train(module: Any, steps: int) -> None:
    """Train `module.GPT` for `steps` and tell how it went."""
    train_text, validation_text = corpus.split(corpus.load())
    characters = sorted(set(train_text) | set(validation_text))
    ids = {character: i for i, character in enumerate(characters)}
    train_ids = torch.tensor([ids[c] for c in train_text])
    validation_ids = torch.tensor([ids[c] for c in validation_text])
    model = module.GPT(
        module.GPTConfig(len(characters), n_layers=3, d_model=96, n_heads=6, max_seq_len=CONTEXT)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    for step in range(1, steps + 1):
        x, y = batch(train_ids)
        _, loss = model(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 10 == 0 or step == 1:
            tell(step=step, steps=steps, loss=loss.item())
    sample = model.eval().generate(torch.tensor([[ids[c] for c in PROMPT]]), SAMPLE, temperature=0.8)
    tell(
        validation=evaluate(model, validation_ids),
        bigram=corpus.bigram_loss(train_text, validation_text),
        sample="".join(characters[i] for i in sample[0].tolist()),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def batch(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Random windows x (B, T) and the characters that follow each position, y (B, T)."""
    starts = torch.randint(len(ids) - CONTEXT, (BATCH,))
    x = torch.stack([ids[start : start + CONTEXT] for start in starts.tolist()])
    y = torch.stack([ids[start + 1 : start + CONTEXT + 1] for start in starts.tolist()])
    return x, y


@torch.no_grad()
def evaluate(model: torch.nn.Module, ids: Tensor) -> float:
    """Nats per character on windows spread evenly over `ids`."""
    starts = torch.linspace(0, len(ids) - CONTEXT - 1, EVAL_BATCHES * BATCH).long().view(EVAL_BATCHES, BATCH)
    losses = []
    for row in starts.tolist():
        x = torch.stack([ids[start : start + CONTEXT] for start in row])
        y = torch.stack([ids[start + 1 : start + CONTEXT + 1] for start in row])
        losses.append(model(x, y)[1].item())
    return sum(losses) / len(losses)


def _rate(step: int, steps: int) -> float:
    """Warm up, then fall in a straight line to a tenth."""
    return min((step + 1) / WARM_UP, 1.0 - 0.9 * step / steps)


def tell(**event: Any) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
