"""A small scaling law: what a larger model and more tokens are worth, and how sure that is.    Step: scaling

N parameters of a model, D tokens that it is trained on, C = FLOPs of the training run, n = number of points of a fit.
ln is the natural logarithm. A loss is in nats per token. All numbers are Python's floats; if you use torch for a fit,
use float64: float32 keeps seven digits, and a fit takes differences of numbers that are nearly equal.

Sources: Kaplan et al. 2020, sections 2.1 and 3, https://arxiv.org/abs/2001.08361; Hoffmann et al. 2022, section 3.2
(approach 2, curves of equal compute), https://arxiv.org/abs/2203.15556.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def non_embedding_parameters(model: nn.Module) -> int:
    """N as Kaplan et al. count it: every number in the model's parameters but those in a table of nn.Embedding.

    Each parameter counts once, also one with two names. So a head that is the embedding's own matrix (tied) does not
    count, and a head with a matrix of its own does. Whether a parameter is trained or frozen makes no difference.
    """
    raise NotImplementedError("scaling: non_embedding_parameters")


def training_flops(n_params: float, tokens: float) -> float:
    """C = 6 N D: 2 N D for the forward pass and 4 N D for the backward pass."""
    raise NotImplementedError("scaling: training_flops")


def tokens_for(flops: float, n_params: float) -> float:
    """D: the tokens that a model of N parameters is trained on for C FLOPs. ValueError unless both are above 0."""
    raise NotImplementedError("scaling: tokens_for")


def fit_power_law(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """(exponent a, prefactor k, standard error of a) of y = k x^a: the least-squares line of ln y against ln x.

    The standard error is that of the line's slope, with the n - 2 that are left after two numbers were fitted:

        s^2 = sum of (ln y - ln k - a ln x)^2 / (n - 2)
        error of a = sqrt(s^2 / sum of (ln x - mean of ln x)^2)

    ValueError for fewer than 3 points, for lists of different lengths, for a value that is not above 0, and if all x are
    equal.
    """
    raise NotImplementedError("scaling: fit_power_law")


def predict(x: Sequence[float], y: Sequence[float], at: float, *, t: float) -> tuple[float, float, float]:
    """(value, low, high): what the power law of these points says for x = at, and the range for one new measurement.

        half = t s sqrt(1 + 1 / n + (ln at - mean of ln x)^2 / sum of (ln x - mean of ln x)^2)
        low, high = value e^-half, value e^half

    s is that of fit_power_law. t is Student's quantile for n - 2 degrees of freedom; the 1 stands for the noise of the
    new measurement itself. ValueError as in fit_power_law, and if `at` is not above 0.
    """
    raise NotImplementedError("scaling: predict")


def fit_with_floor(x: Sequence[float], y: Sequence[float], *, steps: int = 200) -> tuple[float, float, float]:
    """(E, A, alpha) of y = E + A x^-alpha. E, the floor, is what is left however large x becomes.

    E is one of the `steps` values 0, m / steps, 2 m / steps, ... below m = the smallest y. Each gives an A and an alpha:
    those of the line of ln(y - E) against ln x; alpha is above 0 if y falls. Of these curves the one is taken whose
    sum of (y - E - A x^-alpha)^2 is smallest. These are residuals of y itself, because logarithms of what is left above
    different floors cannot be compared. ValueError for fewer than 4 points, and as in fit_power_law.
    """
    raise NotImplementedError("scaling: fit_with_floor")


def best_size(sizes: Sequence[float], losses: Sequence[float]) -> float:
    """N with the lowest loss on one curve of equal compute: the vertex of the parabola of loss against ln N.

    The parabola is the least-squares one. Its vertex may lie between the sizes that were tried, or outside them.
    ValueError for fewer than 3 different sizes, for lists of different lengths, for a size that is not above 0, and for
    a parabola that does not open upwards.
    """
    raise NotImplementedError("scaling: best_size")


def compute_optimal(runs: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """(exponent a, prefactor k, standard error of a) of N_opt = k C^a, from runs (C, N, loss) in any order.

    Runs with the same C are one curve. N_opt of each curve is its best_size, then fit_power_law goes through these
    points. ValueError for fewer than 3 curves, and as in best_size.
    """
    raise NotImplementedError("scaling: compute_optimal")


# The lab, given complete:  python scaling.py

WIDTHS = ((4, 16), (9, 36), (20, 80))  # numbers per byte and hidden width of the three models
BUDGETS = (4e9, 1.2e10, 3.6e10)  # FLOPs
SEEDS = (0, 1, 2)
CONTEXT = 16  # bytes that a model sees
BATCH = 128  # bytes that a step predicts: its tokens
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571)  # Student's 97.5 % quantile for 1, 2, 3, 4, 5 degrees of freedom


class ByteModel(nn.Module):
    """Predicts the next byte from the CONTEXT bytes before it. (B, CONTEXT) -> logits (B, 128). Given complete."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(128, width)
        self.up = nn.Linear(CONTEXT * width, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, 128)

    def forward(self, context: Tensor) -> Tensor:
        x = F.gelu(self.up(self.embed(context).flatten(1)))
        return self.head(x + F.gelu(self.middle(x)))


def train(width: int, hidden: int, flops: float, text: Tensor, seed: int) -> tuple[int, float]:
    """N and the loss on held-out text of one model, trained for so many FLOPs. Given complete."""
    torch.manual_seed(seed)
    model = ByteModel(width, hidden)
    n_params = non_embedding_parameters(model)
    steps = max(1, round(tokens_for(flops, n_params) / BATCH))
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3, betas=(0.9, 0.95))
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 8e-3, steps + 1, pct_start=0.1, cycle_momentum=False
    )
    back, split = torch.arange(-CONTEXT, 0), int(len(text) * 0.9)
    for _ in range(steps):
        at = torch.randint(CONTEXT, split, (BATCH,))  # the bytes to predict
        loss = F.cross_entropy(model(text[at[:, None] + back]), text[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    with torch.no_grad():
        at = torch.arange(split + CONTEXT, len(text))
        return n_params, F.cross_entropy(model(text[at[:, None] + back]), text[at]).item()


def main() -> None:
    """Nine runs for each seed, the best size of each budget, and how its exponent was. Given complete."""
    torch.set_num_threads(1)  # for tensors as small as these, two threads mostly wait for one another
    began = time.perf_counter()
    from pydoc_data.topics import topics  # the documentation that every CPython carries

    text = torch.tensor(list("\n".join(topics[name] for name in sorted(topics)).encode("ascii", "replace")))
    runs = {}
    for flops, sizes, seed in itertools.product(BUDGETS, WIDTHS, SEEDS):
        runs[flops, sizes, seed] = train(*sizes, flops, text, seed)
    n_params = [runs[BUDGETS[0], sizes, 0][0] for sizes in WIDTHS]
    print(f"Loss in nats per byte, mean of {len(SEEDS)} seeds; {len(text):,} bytes of Python's documentation")
    print(f"{'FLOPs':>8}" + "".join(f"{f'N = {n:,}':>14}" for n in n_params) + f"{'best N':>10}{'its D':>12}")
    means = []
    for flops in BUDGETS:
        losses = [statistics.mean(runs[flops, sizes, seed][1] for seed in SEEDS) for sizes in WIDTHS]
        means += [(flops, n, loss) for n, loss in zip(n_params, losses, strict=True)]
        size = best_size(n_params, losses)
        cells = "".join(f"{loss:14.4f}" for loss in losses)
        print(f"{flops:8.1e}{cells}{size:10,.0f}{tokens_for(flops, size):12,.0f}")
    exponent, _, error = compute_optimal(means)
    t = T_975[len(BUDGETS) - 3]
    print(f"\nN_opt grows as C^{exponent:.3f}; standard error {error:.3f}, from {len(BUDGETS)} points")
    print(f"95 % interval: {exponent - t * error:.2f} to {exponent + t * error:.2f} (t = {t})")
    alone = [
        compute_optimal([(c, *run) for (c, _, s), run in runs.items() if s == seed])[0] for seed in SEEDS
    ]
    print("Each seed by itself: " + ", ".join(f"{value:.3f}" for value in alone))
    best = [best_size(n_params, [loss for c, _, loss in means if c == flops]) for flops in BUDGETS]
    for factor in (3, 1000):
        value, low, high = predict(BUDGETS, best, factor * BUDGETS[-1], t=t)
        print(
            f"{factor:,} times the largest budget: N_opt {value:,.0f}, 95 % interval {low:,.0f} to {high:,.0f}"
        )
    print("Three points leave one degree of freedom: enough to see a direction, not to plan a run with.")
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
