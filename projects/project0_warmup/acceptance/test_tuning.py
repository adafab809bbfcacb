"""Step `tuning`: two linear layers as one, a learning rate from a sweep, and the sizes of a table and of a network.

V vocabulary, C context, E embedding.
"""

import math

import torch
import torch.nn.functional as F
import tuning_toys

from cohort_cli.checking.authoring import check


@check("tuning-collapse", title="two linear layers are one linear layer")
def test_tuning_collapse(member, expect, rng):
    """Random matrices and biases: w and b must do to every x what the two layers do one after the other. The map
    determines both, so w and b are compared with what the layers make of the unit vectors and of zero.
    """
    for inputs, hidden, outputs in ((4, 6, 3), (5, 2, 7), (4, 4, 4)):
        w1, b1 = rng.normal(inputs, hidden), rng.normal(hidden)
        w2, b2 = rng.normal(hidden, outputs), rng.normal(outputs)

        def both(x, w1=w1, b1=b1, w2=w2, b2=b2):
            return (x @ w1 + b1) @ w2 + b2

        want_b = both(torch.zeros(1, inputs, dtype=torch.float64))[0]
        want_w = both(torch.eye(inputs, dtype=torch.float64)) - want_b
        w, b = member.tuning.collapse(w1, b1, w2, b2)
        say = f"for I, H, O = {(inputs, hidden, outputs)}."
        expect.close(w, want_w, axes=("input", "output"), say=f"w {say}")
        expect.close(b, want_b, axes=("output",), say=f"b {say}")


@check("tuning-spaced", title="learning rates on a log scale")
def test_tuning_spaced(member, expect, rng):
    """From 0.001 to 1 in four: 0.001, 0.01, 0.1, 1. Then other ends and counts: both ends are there, and every rate
    is the same factor above the one before. A list of Python floats.
    """
    for low, high, count in ((0.001, 1.0, 4), (0.02, rng.random.uniform(0.5, 2.0), 7), (0.003, 0.3, 2)):
        got = member.tuning.log_spaced(low, high, count)
        expect.equal(type(got).__name__, "list", say="The type of the result.")
        expect.equal({type(lr).__name__ for lr in got}, {"float"}, say="The types of what is in it.")
        want = [low * (high / low) ** (i / (count - 1)) for i in range(count)]
        expect.close(
            torch.tensor(got, dtype=torch.float64),
            torch.tensor(want, dtype=torch.float64),
            rtol=1e-4,
            axes=("place",),
            say=f"{count} rates from {low:g} to {high:g}.",
        )


def plain_run(embed, out, window, id, steps, lr):
    """The losses of AdamW with a rate that falls in a line, on one window that is always the same."""
    params = [embed.clone().requires_grad_(), out.clone().requires_grad_()]
    m, v = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    losses = []
    for step in range(steps):
        loss = F.cross_entropy(torch.tanh(params[0][window].sum(1)) @ params[1], id)
        losses.append(loss.item())
        now = lr * (1 - step / steps)
        with torch.no_grad():
            for i, (p, g) in enumerate(zip(params, torch.autograd.grad(loss, params), strict=True)):
                m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g * g
                up = (v[i] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
                p -= now * 0.01 * p + now * m[i] / (1 - 0.9 ** (step + 1)) / up
    return losses


def row(numbers):
    return torch.as_tensor(numbers, dtype=torch.float64)


@check(
    "tuning-range", title="one short run for each learning rate, each from the start", needs=["train-adamw"]
)
def test_tuning_range(member, expect, rng):
    """First with rates so small that nothing is learned: every batch has a loss that can be worked out from what the
    model was given, and of 40 losses the last four count. Then a text of one id over and over, where chance has no say:
    the check works out each run itself. The rates are in no order, and the losses come in theirs. 30 and 35 steps: the
    mean of the last three losses. 7 steps: the last one. A run that goes on with the model before it begins too low.
    """
    V, C, E = 12, 3, 4
    embed, out = rng.normal(V, E), rng.normal(E, V, std=2.0)
    toys = member.bring(tuning_toys)
    ids = rng.permutation(V)
    follows = {int(ids[i - 1]): int(ids[i]) for i in range(C, V)}
    got, seen = toys.sweep("Quiet", (C, embed, out), ids, [1e-13, 1e-12], 40, 2, rng.random.randrange(2**31))
    runs = []
    for batches in [batches for batches in seen if batches]:
        steps = []
        for x in batches:
            y = torch.tensor([follows.get(int(last), 0) for last in x[:, -1]])
            steps.append(F.cross_entropy(torch.tanh(embed[x].sum(1)) @ out, y))
        runs.append(torch.stack(steps))
    if len(runs) == 2:  # else the runs shared a model, which the next part shows
        slips = {
            "range-first-loss": [run[:4].mean() for run in runs],
            "range-last-loss-only": [run[-1] for run in runs],
            "range-lowest-loss": [run.min() for run in runs],
            "range-mean-of-all": [run.mean() for run in runs],
            "range-last-ten": [run[-10:].mean() for run in runs],
        }
        flat = torch.is_tensor(got) or all(isinstance(loss, float) for loss in got)
        near = {
            name: flat and len(got) == 2 and torch.allclose(row(got), row(w)) for name, w in slips.items()
        }
        slip = next((name for name, same in near.items() if same), None)
        want = row([run[-4:].mean() for run in runs])
        say = "The losses of two runs of 40 steps, with rates of almost 0."
        expect.close(row(got), want, atol=1e-6, axes=("rate",), say=say, mistake=slip)
    V, id = 6, rng.random.randrange(6)
    embed, out = embed[:V], out[:, :V]
    ids, lrs = torch.full((20,), id), [0.02, 0.3, 0.001, 0.08]
    for steps, tail in ((30, 3), (35, 3), (7, 1)):
        want = []
        for lr in lrs:
            losses = plain_run(embed, out, ids[:C][None], ids[:1], steps, lr)
            want.append(sum(losses[-tail:]) / tail)
        got, _ = toys.sweep("Quiet", (C, embed, out), ids, lrs, steps, 4, 0)
        say = f"The losses after {steps} steps with the rates {lrs}."
        expect.close(row(got), row(want), atol=1e-7, axes=("rate",), say=say)


@check("tuning-range-fair", title="every learning rate sees the same windows", needs=["tuning-range"])
def test_tuning_range_fair(member, expect, rng):
    """The models note their batches. Each rate gets a model of its own, with as many steps and rows as were asked for,
    and the same windows as the others, so that only the rate differs. The windows follow from the seed alone: another
    seed gives others, and what else the program has drawn changes nothing.
    """
    V, C, steps, size = 9, 2, 5, 4
    given, ids, seed = (
        (C, rng.normal(V, 3), rng.normal(3, V)),
        rng.integers(0, V, 300),
        rng.random.randrange(2**31),
    )
    toys = member.bring(tuning_toys)
    lrs = [0.01, 0.1, 0.001]
    _, seen = toys.sweep("Quiet", given, ids, lrs, steps, size, seed)
    seen = [batches for batches in seen if batches]  # a model that was made and never used does no harm
    expect.equal(len(seen), 3, say="How many models were trained for three rates.")
    shapes = [[tuple(x.shape) for x in batches] for batches in seen]
    expect.equal(shapes, [[(size, C)] * steps] * 3, say="The shapes of all batches, run by run.")
    windows = [torch.cat(batches) for batches in seen]
    for run in (1, 2):
        expect.equal(
            windows[run], windows[0], say=f"The windows of run {run} (counted from 0), and of run 0."
        )
    _, again = toys.sweep("Quiet", given, ids, lrs[:1], steps, size, seed, noise=1)
    say = "The windows with the same seed once more."
    expect.equal(torch.cat(again[0]), windows[0], say=say)
    _, other = toys.sweep("Quiet", given, ids, lrs[:1], steps, size, seed + 1)
    say = "Another seed gave the same windows."
    expect.that(not torch.equal(torch.cat(other[0]), windows[0]), say, mistake="range-seed-ignored")


@check("tuning-range-broken", title="a run that breaks counts as infinitely bad", needs=["tuning-range"])
def test_tuning_range_broken(member, expect, rng):
    """A model of the check's gives nan once a weight is above 50, which the largest rate brings about. Its loss must be
    reported as math.inf: a nan is neither smaller nor larger than anything, so nobody can sort by it. The runs before
    and after it have finite losses.
    """
    V, C = 6, 2
    toys = member.bring(tuning_toys)
    ids, table = rng.integers(0, V, 60), rng.normal(V, V)
    got, _ = toys.sweep("Breaks", (C, table), ids, [0.01, 1000.0, 0.02], 10, 4, 0)
    expect.equal(len(got), 3, say="How many losses there are for three rates.")
    finite = [math.isfinite(loss) for loss in got]
    expect.equal(
        finite, [True, False, True], say=f"Which losses are finite: {[round(loss, 4) for loss in got]}."
    )
    slip = "range-nan-stays" if math.isnan(got[1]) else None
    expect.equal(got[1], math.inf, say="The loss of the run that broke.", mistake=slip)


@check("tuning-pick", title="the rate with the lowest loss, and never a broken run")
def test_tuning_pick(member, expect, rng):
    """Losses in several orders, with nan and inf at the beginning, in the middle and at the end. A nan must not win,
    whichever way the comparison goes. If every run broke, there is nothing to pick: a ValueError.
    """
    nan, inf = math.nan, math.inf
    lrs = [0.001, 0.01, 0.1, 1.0]
    shift = rng.random.uniform(0.0, 1.0)
    for losses, want in (
        ([3.0, 2.0, 4.0, 2.5], 0.01),
        ([3.0, 2.9, 1.5, 1.7], 0.1),
        ([1.1, 2.0, 2.5, 4.0], 0.001),
        ([4.0, 3.0, 2.5, 1.4], 1.0),
        ([nan, 3.0, 2.0, inf], 0.1),
        ([3.0, 2.0, nan, inf], 0.01),
        ([2.0, 3.0, 4.0, nan], 0.001),
        ([inf, nan, nan, 9.0], 1.0),
    ):
        losses = [loss + shift for loss in losses]
        say = f"lrs {lrs}, losses {[round(loss, 3) for loss in losses]}."
        expect.equal(member.tuning.pick_lr(lrs, losses), want, say=say)
    unsorted = member.tuning.pick_lr([0.3, 0.02, 0.7], [2.0, 1.0, 3.0])
    expect.equal(unsorted, 0.02, say="lrs [0.3, 0.02, 0.7], losses [2.0, 1.0, 3.0].")
    expect.raises(
        member.tuning.pick_lr,
        lrs,
        [nan, inf, inf, nan],
        say="No loss is finite: a ValueError.",
        mistake="pick-from-nothing",
    )


@check("tuning-size", title="a table of counts has V to the power of C + 1 cells")
def test_tuning_size(member, expect, rng):
    """A bigram has context 1 and V * V cells, a trigram context 2 and V * V * V. With context 8 the number has 19
    digits, and each must be right: Python's whole numbers have no end, floats have about 16 digits.
    """
    V = rng.random.randrange(20, 200)
    for size, context in ((27, 1), (27, 2), (V, 0), (V, 3), (104, 8), (50257, 12)):
        want = 1
        for _ in range(context + 1):
            want *= size
        got = member.tuning.table_size(size, context)
        expect.equal(got, want, say=f"table_size({size}, {context}).")


@check("tuning-count", title="the numbers that training changes, each counted once")
def test_tuning_count(member, expect, rng):
    """A model of the check's has two layers, a vector, one matrix under two names, a frozen matrix and a buffer. Only
    parameters that ask for a gradient count, and the matrix with two names counts once: 6 + 20 + 20 + 5 = 51. Then
    a few plain layers.
    """
    toys = member.bring(tuning_toys)
    got = member.tuning.parameter_count(toys.Mixed())
    expect.equal(got, 51, say="6 + 20 + 20 + 5; frozen are 12, and a buffer has 7.")
    inputs, outputs = rng.random.randrange(3, 30), rng.random.randrange(3, 30)
    got = member.tuning.parameter_count(toys.layer(inputs, outputs))
    say = f"nn.Linear({inputs}, {outputs}), with its bias."
    expect.equal(got, (inputs + 1) * outputs, say=say)
