"""Draws the pictures of unit W3 from runs of the reference: `python make_3.py` writes three SVG files beside it.

It needs the kit (`cohort_cli`) and torch, and takes about ten seconds on one core. Seeds are fixed, and one thread
is used, so the same machine gives the same bytes.
"""

from __future__ import annotations

import html
import math
import sys
from pathlib import Path
from typing import Any

import torch

from cohort_cli.training import corpus, svg
from cohort_cli.training.svg import Series, chart

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "reference"))

from modules import MLP, evaluate, train  # noqa: E402
from tuning import log_spaced, lr_range, parameter_count, pick_lr, table_size  # noqa: E402

CONTEXT, D_EMBED, D_HIDDEN = 8, 24, 256
STEPS, BATCH, LR = 2000, 256, 0.005
ALONE = "<style>svg { color: #1f2328; background: #fff } .blue { color: #0072B2 } .vermillion { color: #D55E00 }</style>"
GROUPS = {"vowels": "aeiou", "consonants": "bcdfghjklmnpqrstvwxyz", "digits": "0123456789"}


def data() -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """(training ids, held-out ids, vocabulary) of the embedded corpus; id 0 is for what the training text lacks."""
    first, last = corpus.split(corpus.load())
    vocabulary = ["\ufffd", *sorted(set(first))]
    number = {character: id for id, character in enumerate(vocabulary)}
    return (
        torch.tensor([number[c] for c in first]),
        torch.tensor([number.get(c, 0) for c in last]),
        vocabulary,
    )


def new_model(vocab_size: int, d_embed: int = D_EMBED) -> MLP:
    torch.manual_seed(1)
    return MLP(vocab_size, CONTEXT, d_embed, D_HIDDEN)


def numbers() -> dict[str, Any]:
    """All that the pictures and the page say, measured anew."""
    torch.set_num_threads(1)
    ids, held_out, vocabulary = data()
    V = len(vocabulary)
    first, last = corpus.split(corpus.load())
    lrs = log_spaced(1e-4, 1.0, 13)
    sweep = lr_range(lambda: new_model(V), ids, lrs, 200, 64, 1)
    model = new_model(V)
    losses = train(model, ids, STEPS, BATCH, LR, torch.Generator().manual_seed(1))
    flat = new_model(V, 2)
    train(flat, ids, STEPS, BATCH, LR, torch.Generator().manual_seed(1))
    return {
        "V": V,
        "trigram": corpus.ngram_loss(3, first, last),
        "lrs": lrs,
        "sweep": sweep,
        "best": pick_lr(lrs, sweep),
        "losses": losses,
        "held out": evaluate(model, held_out),
        "held out, d_embed 2": evaluate(flat, held_out),
        "parameters": parameter_count(model),
        "cells": table_size(V, 2),
        "embedding": dict(zip(vocabulary, next(flat.parameters()).tolist(), strict=True)),
    }


def sweep_chart(n: dict[str, Any]) -> str:
    """Rates up to 0.1: further right the line leaves the paper."""
    runs = list(zip(n["lrs"], n["sweep"], strict=True))
    points = [(math.log10(lr), loss) for lr, loss in runs if lr < 0.11]
    says = f"A valley: high on the left, lowest at {n['best']:.2g}, and steeply up on the right."
    x_label = "log10 of the learning rate"
    return chart("Loss after 200 steps", [Series("loss", points)], x_label, "nats per character", says=says)


def run_chart(n: dict[str, Any]) -> str:
    size = 20
    means = [
        (start + size / 2, sum(n["losses"][start : start + size]) / size) for start in range(0, STEPS, size)
    ]
    lines = [("trigram table, held out", n["trigram"]), ("this MLP, held out", n["held out"])]
    says = f"The training loss falls below the trigram's {n['trigram']:.2f} and ends near {means[-1][1]:.2f}."
    return chart(
        "Training loss of the MLP",
        [Series("training", means, thin=True)],
        "step",
        "nats per character",
        lines,
        says,
    )


def embedding_drawing(n: dict[str, Any]) -> str:
    """Each character stands where its row of the embedding is: vowels and digits in colour."""
    width, height, margin = 720, 420, 30
    look = {
        "vowels": ' class="vermillion" color="#D55E00" fill="currentColor" font-weight="bold"',
        "digits": ' class="blue" color="#0072B2" fill="currentColor" text-decoration="underline"',
        "consonants": "",
    }
    shown = [(group, c, n["embedding"][c]) for group, all_of in GROUPS.items() for c in all_of]
    across, up = ([place[axis] for _, _, place in shown] for axis in (0, 1))
    parts = []
    for group, character, (x, y) in shown:
        left = margin + (x - min(across)) / (max(across) - min(across)) * (width - 2 * margin)
        top = height - margin - (y - min(up)) / (max(up) - min(up)) * (height - 2 * margin)
        parts.append(f'<text x="{left:.1f}" y="{top:.1f}"{look[group]}>{html.escape(character)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="17" text-anchor="middle" fill="currentColor">\n'
        "<title>Letters and digits where their embedding puts them</title>\n"
        f"{ALONE}\n" + "\n".join(parts) + "\n</svg>\n"
    )


def main() -> None:
    n = numbers()
    for name, text in (
        ("lr_range.svg", svg.alone(sweep_chart(n))),
        ("mlp_loss.svg", svg.alone(run_chart(n))),
        ("embedding.svg", embedding_drawing(n)),
    ):
        (HERE / name).write_text(text, encoding="utf-8", newline="\n")
    for lr, loss in zip(n["lrs"], n["sweep"], strict=True):
        print(f"lr {lr:.5f}  {loss:.3f}")
    for name in ("V", "trigram", "best", "held out", "held out, d_embed 2", "parameters", "cells"):
        print(name, n[name])


if __name__ == "__main__":
    main()
