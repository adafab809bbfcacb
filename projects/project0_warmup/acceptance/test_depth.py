"""Step `depth`: sizes of numbers through many layers, and of gradients back through them.

What is drawn at random is compared with what it must be for layers of infinite width. The layers here are 400 wide,
few, and the batch has 200 rows. Chance then moves a deviation by 0.2 to 2.2 % (its own standard deviation, over 60
seeds; ReLU the most, hence two layers of it). 15 % are allowed.
"""

import math
from itertools import pairwise

import torch

from cohort_cli.checking.authoring import check

SETTINGS = (("linear", 1.3, 4), ("linear", 0.6, 4), ("tanh", 5 / 3, 4), ("tanh", 0.5, 4), ("relu", 1.4, 2))
WIDTHS = (5, 7, 3, 6)


def normal_grid():
    """Points and weights for means over a standard normal number."""
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    density = torch.exp(-z * z / 2)
    return z, density / density.sum()


def through(depth, size, nonlinearity):
    """[(deviation, saturated share)] after each layer of infinite width. size = std * sqrt(width)."""
    z, share = normal_grid()
    mean_square, found = 1.0, []
    for _ in range(depth):
        h = z * size * math.sqrt(mean_square)
        a = torch.tanh(h) if nonlinearity == "tanh" else h.clamp(min=0) if nonlinearity == "relu" else h
        mean, mean_square = float((a * share).sum()), float((a * a * share).sum())
        found.append((math.sqrt(mean_square - mean * mean), float((share * (a.abs() > 0.97)).sum())))
    return found


def back(depth, size, nonlinearity):
    """Deviations of the gradient at each layer's output, first to last, for infinite width."""
    z, share = normal_grid()
    mean_squares = [1.0]
    for _ in range(depth):
        h = z * size * math.sqrt(mean_squares[-1])
        a = torch.tanh(h) if nonlinearity == "tanh" else h.clamp(min=0) if nonlinearity == "relu" else h
        mean_squares.append(float((a * a * share).sum()))
    found = [1.0]
    for layer in range(depth - 1, 0, -1):  # the gradient at the output of `layer` comes through layer + 1
        h = z * size * math.sqrt(mean_squares[layer])
        slope = {"tanh": 1 - torch.tanh(h) ** 2, "relu": (h > 0).double()}.get(
            nonlinearity, torch.ones_like(h)
        )
        found.append(found[-1] * size * math.sqrt(float((slope * slope * share).sum())))
    return found[::-1]


@check("stds-values", title="the standard deviation of all numbers, however small they are")
def test_stds_values(member, expect, rng):
    """How far numbers lie from their own mean, over all of a tensor. Numbers of 1e-25 and 1e25 must come out right too:
    their squares do not fit into float32, where they become 0 and infinity.
    """
    near = [rng.normal(80, 50) * 3 + 5, rng.normal(3000) * 0.2 - 1]
    got = member.depth.stds(near)
    expect.equal([type(value).__name__ for value in got], ["float"] * 2, say="The types of what comes back.")
    want = torch.tensor([float(((t - t.mean()) ** 2).mean()) ** 0.5 for t in near], dtype=torch.float64)
    expect.close(torch.tensor(got, dtype=torch.float64), want, rtol=1e-3, say="Two tensors of ordinary size.")
    drawn = rng.normal(60, 70)
    far = [(drawn * size).float() for size in (1e-25, 1e25)]
    got = torch.tensor(member.depth.stds(far), dtype=torch.float64) / torch.tensor([1e-25, 1e25])
    want = torch.full((2,), float(drawn.std()), dtype=torch.float64)
    expect.close(
        got, want, rtol=1e-3, say="Numbers near 1e-25 and near 1e25 in float32, divided by these sizes."
    )


@check(
    "report-values",
    title="the report follows the numbers, layer by layer",
    needs=["stds-values", "stack-values"],
)
def test_report_values(member, expect, rng):
    """With weights of deviation s, a linear layer of width n multiplies the deviation by s * sqrt(n), and half of the
    mean square dies in ReLU. `std` is the deviation of the weights itself, nothing is divided again; every layer has
    another weight. Compared with layers of infinite width; 15 % are allowed.
    """
    for word, size, depth in SETTINGS:
        seed = torch.Generator().manual_seed(rng.random.randrange(2**30))
        got = member.depth.report(depth, 400, size / 20, word, seed, batch=200)
        expect.equal(len(got), depth, say=f"How many numbers a report of {depth} layers has.")
        want = torch.tensor([deviation for deviation, _ in through(depth, size, word)], dtype=torch.float64)
        say = f"{word}, {depth} layers of width 400, std {size / 20:.4f}."
        expect.close(torch.tensor(got, dtype=torch.float64), want, rtol=0.15, axes=("layer",), say=say)
    seed = torch.Generator().manual_seed(rng.random.randrange(2**30))
    got = torch.tensor(member.depth.report(8, 1, 1.0, "linear", seed, batch=50), dtype=torch.float64)
    factors = got[1:] / got[:-1]  # of one weight each, because the width is 1
    spread = float(factors.max() / factors.min())
    expect.that(spread > 1.001, "Each layer must have another weight; here all have the same.", got=spread)


@check("report-generator", title="a report can be repeated", needs=["stds-values", "stack-values"])
def test_report_generator(member, expect, rng):
    """Inputs and weights come from the generator: the same seed gives the same report, whatever else has drawn random
    numbers, and another seed another one. That holds for `gradient_report` too.
    """
    seed = rng.random.randrange(2**30)
    for function, name in (
        (member.depth.report, "report"),
        (member.depth.gradient_report, "gradient_report"),
    ):
        runs = []
        for other, own in ((seed, 1), (seed + 7, 1), (seed, 2)):
            member.seed(other)
            runs.append(function(3, 8, 0.3, "tanh", torch.Generator().manual_seed(seed + own), batch=4))
        first, again, another = (torch.tensor(run, dtype=torch.float64) for run in runs)
        expect.close(again, first, say=f"{name}: the same generator, other global random numbers.")
        far = float((another - first).abs().max())
        expect.that(far > 1e-9, f"{name}: another seed must give another report.", got=far)


@check("gradients-values", title="the gradient at each layer's output, first to last", needs=["stack-values"])
def test_gradients_values(member, expect, rng):
    """Going back through a layer: times the slope of the non-linearity, then times the weight, turned over. The last
    entry is the upstream gradient itself. Compared with that formula, written out.
    """
    for word in ("linear", "tanh", "relu"):
        bend, before = {"tanh": torch.tanh, "relu": torch.relu, "linear": torch.clone}[word], []
        # Not an exact 0 before ReLU, as a row of zeros gives it: the slope there is whatever one likes.
        while not before or any(bool((z == 0).any()) for z in before):
            weights = [rng.normal(a, b, std=0.6) for a, b in pairwise(WIDTHS)]
            x, upstream, before = rng.normal(4, WIDTHS[0]), rng.normal(4, WIDTHS[-1]), []
            for weight in weights:
                before.append((bend(before[-1]) if before else x) @ weight)
        want = [upstream]
        for z, weight in zip(before[:0:-1], weights[:0:-1], strict=True):
            slope = {"tanh": 1 / torch.cosh(z) ** 2, "relu": (z > 0).double()}.get(word, torch.ones_like(z))
            want.insert(0, (want[0] * slope) @ weight.T)
        got = member.depth.gradients(x, weights, word, upstream)
        expect.equal(len(got), 3, say="How many gradients there are for three layers.")
        for layer, mine, right in zip(("first", "second", "last"), got, want, strict=True):
            expect.close(
                mine, right, axes=("row", "unit"), say=f"{word}: at the output of the {layer} layer."
            )


@check(
    "gradient-report",
    title="gradients grow or fade on the way back",
    needs=["gradients-values", "stds-values"],
)
def test_gradient_report(member, expect, rng):
    """The list goes from the first layer to the last, so its last number is near 1: the deviation of the gradient that
    is put in there. Linear layers multiply it by s * sqrt(n) at each step back; tanh takes some away, ReLU half of the
    square. Compared with layers of infinite width; 15 % are allowed.
    """
    for word, size, depth in SETTINGS:
        seed = torch.Generator().manual_seed(rng.random.randrange(2**30))
        got = member.depth.gradient_report(depth, 400, size / 20, word, seed, batch=200)
        expect.equal(len(got), depth, say=f"How many numbers a report of {depth} layers has.")
        want = torch.tensor(back(depth, size, word), dtype=torch.float64)
        say = f"{word}, {depth} layers of width 400, std {size / 20:.4f}."
        expect.close(torch.tensor(got, dtype=torch.float64), want, rtol=0.15, axes=("layer",), say=say)


@check("own-std", title="your weights carry numbers through fifty layers")
def test_own_std(member, expect, rng):
    """After each of fifty layers the deviation must lie between 0.3 and 3, and with tanh at most one number in five of
    the last may be saturated. Computed without chance, for layers of infinite width, from the deviation that `own_std`
    gives.

    Weights near standard normal pass the first claim with tanh and fail the second.
    """
    for word in ("linear", "relu", "tanh"):
        for width in (64, rng.random.randint(100, 1000)):
            std = float(member.depth.own_std(width, word))
            found = through(50, std * math.sqrt(width), word)
            low, high = min(found)[0], max(found)[0]
            say = (
                f"{word}, width {width}, your std {std:.4f}: the smallest and largest deviation of 50 layers "
            )
            say += "must lie between 0.3 and 3."
            expect.that(low >= 0.3 and high <= 3, say, got=[low, high], want="[0.3 …, … 3]")
            if word == "tanh":
                share = found[-1][1]
                say = f"tanh, width {width}, your std {std:.4f}: the saturated share after layer 50, at most 0.2."
                expect.that(share <= 0.2, say, got=share, want="0.2 or less")
