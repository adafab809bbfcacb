"""Step `variance`: gains, the size of weights, a stack of layers, and how many numbers are saturated.

B = 4 rows; the widths of the layers all differ, so that a transpose shows.
"""

import math
from itertools import pairwise

import torch
import variance_bench

from cohort_cli.checking.authoring import check

WIDTHS = (5, 7, 3, 6)
LAYERS = ("first", "second", "third")


def stack(x, weights, nonlinearity):
    """Each output by the formula; tanh from exponentials, ReLU as the larger of x and 0."""
    outputs = []
    for weight in weights:
        x = torch.einsum("bi,io->bo", x, weight)
        if nonlinearity == "tanh":
            x = 1 - 2 / (torch.exp(2 * x) + 1)
        elif nonlinearity == "relu":
            x = torch.where(x > 0, x, 0.0)
        outputs.append(x)
    return outputs


def inputs(rng):
    """x (4, 5) and three weights, (5, 7), (7, 3) and (3, 6).

    ReLU leaves something of each row: where all is 0, the next layer gets exactly 0, and there the slope of ReLU is
    whatever one likes (torch.relu says 0, clamp says 1).
    """
    while True:
        weights = [rng.normal(a, b, std=0.6) for a, b in pairwise(WIDTHS)]
        x = rng.normal(4, WIDTHS[0])
        if all(bool((output > 0).any(1).all()) for output in stack(x, weights, "relu")):
            return x, weights


@check("gain-values", title="the gain is 1, 5/3 or the square root of 2")
def test_gain_values(member, expect):
    """What a non-linearity takes away from the size of numbers, the gain of the weights gives back: "linear" 1,
    "tanh" 5/3, "relu" sqrt(2). Another word is a slip of the pen, and must raise ValueError.
    """
    words = ("linear", "tanh", "relu")
    got = torch.tensor([float(member.variance.gain(word)) for word in words], dtype=torch.float64)
    want = torch.tensor([1.0, 5 / 3, math.sqrt(2)], dtype=torch.float64)
    expect.close(got, want, atol=1e-6, say="The gains of linear, tanh and relu.")
    expect.raises(member.variance.gain, "rleu", say='gain("rleu") must raise ValueError.')


@check("init-std", title="the standard deviation of a weight is gain / sqrt(fan_in)")
def test_init_std(member, expect, rng):
    """A sum of n terms has n times the variance of one term, so sqrt(n) times its standard deviation. Dividing the
    weights by sqrt(fan_in) takes that back. fan_in and gain are random here.
    """
    cases = [(4, 1.0), (100, 5 / 3)]
    cases += [(rng.random.randint(2, 900), rng.random.uniform(0.3, 3.0)) for _ in range(4)]
    got = torch.tensor([float(member.variance.init_std(n, gain)) for n, gain in cases], dtype=torch.float64)
    want = torch.tensor([gain / n**0.5 for n, gain in cases], dtype=torch.float64)
    expect.close(got, want, atol=0.0, rtol=1e-6, say=f"(fan_in, gain) were {cases}.")


@check("init-draw", title="a weight is (fan_in, fan_out), normal, with that deviation", needs=["init-std"])
def test_init_draw(member, expect, rng):
    """fan_in is the number of terms that a unit adds up: rows of the weight, as in x @ weight. The mean of the numbers
    is 0, their standard deviation gain / sqrt(fan_in), and they are normal: one in 22 lies beyond two deviations.

    With 60,000 numbers chance moves the deviation by 0.3 %; 3 % are allowed.
    """
    gains = [rng.random.uniform(0.8, 1.2), rng.random.uniform(2.0, 3.0)]
    drawn = [member.variance.init_weight(300, 200, gain, rng.generator) for gain in gains]
    for weight in drawn:
        expect.shape(weight, (300, 200), say="fan_in 300, fan_out 200.")
    got = torch.stack([weight.double().std() for weight in drawn])
    want = torch.tensor(gains, dtype=torch.float64) / 300**0.5
    expect.close(got, want, atol=0.0, rtol=0.03, say=f"The standard deviations with gains {gains}.")
    means = torch.stack([w.double().mean() / w.double().std() for w in drawn])
    expect.close(means, torch.zeros(2), atol=0.03, say="The means, in standard deviations.")
    beyond = torch.stack([(w.abs() > 2 * w.std()).double().mean() for w in drawn])
    expect.close(
        beyond, torch.full((2,), 0.0455), atol=0.008, say="The share beyond two standard deviations."
    )


@check("init-generator", title="every random number comes from the generator")
def test_init_generator(member, expect, rng):
    """Whoever hands over a generator wants the same weights again tomorrow, whatever else has drawn random numbers. And
    it must go on: two layers of a model must not start alike.
    """
    init_weight, seed = member.variance.init_weight, rng.random.randrange(2**30)
    member.seed(seed)
    first = init_weight(6, 4, 1.0, torch.Generator().manual_seed(seed + 1))
    member.seed(seed + 7)
    again = init_weight(6, 4, 1.0, torch.Generator().manual_seed(seed + 1))
    expect.close(again, first, say="The same generator, other global random numbers.")
    other = init_weight(6, 4, 1.0, torch.Generator().manual_seed(seed + 2))
    far = float((other - first).abs().max())
    expect.that(far > 1e-6, "Another seed in the generator must give other weights.", got=far)
    bench = member.bring(variance_bench)
    one, two = bench.two_draws(6, 4, 1.0, torch.Generator().manual_seed(seed + 3))
    far = float((one - two).abs().max())
    expect.that(far > 1e-6, "Two calls with one generator must give two different weights.", got=far)


@check("stack-values", title="each layer takes what the layer before it gave")
def test_stack_values(member, expect, rng):
    """x @ weight, then the non-linearity, after every layer, the last one too. The list holds what comes out, one
    tensor for each weight; the input is not in it. "linear" leaves numbers as they are; another word raises
    ValueError.
    """
    for word in ("linear", "tanh", "relu"):
        x, weights = inputs(rng)
        got, want = member.variance.activations(x, weights, word), stack(x, weights, word)
        expect.equal(len(got), 3, say="How many tensors there are for three weights.")
        for layer, mine, right in zip(LAYERS, got, want, strict=True):
            expect.close(mine, right, axes=("row", "unit"), say=f"{word}, the {layer} layer.")
    x, weights = inputs(rng)
    expect.raises(member.variance.activations, x, weights, "tan", say='"tan" must raise ValueError.')


@check("stack-gradient", title="gradients flow back through every layer", needs=["stack-values"])
def test_stack_gradient(member, expect, rng):
    """A gradient at each layer's output must reach the input and every weight before it. A `detach`, a `no_grad` or a
    `.data` on the way stops it, and what lies before it never learns.
    """
    bench = member.bring(variance_bench)
    for word in ("tanh", "relu"):
        x, weights = inputs(rng)
        pulls = [rng.normal(4, n) for n in WIDTHS[1:]]
        got = bench.gradients(x, weights, word, pulls)
        leaves = [tensor.clone().requires_grad_() for tensor in (x, *weights)]
        total = sum((o * g).sum() for o, g in zip(stack(leaves[0], leaves[1:], word), pulls, strict=True))
        names = ("the input", "the first weight", "the second weight", "the third weight")
        for name, mine, right in zip(names, got, torch.autograd.grad(total, leaves), strict=True):
            expect.close(mine, right, axes=("row", "column"), say=f"{word}: the gradient of {name}.")


@check("saturated-share", title="saturated counts both sides, as a share")
def test_saturated_share(member, expect, rng):
    """tanh is flat where its output is near 1 or near -1; there it passes almost no gradient back. The share of such
    numbers lies between 0 and 1. All numbers of the tensor count, whatever its shape. A Python float comes back.
    """
    saturated = member.variance.saturated
    a = torch.tanh(rng.normal(11, 13, std=2.5) + 0.5)
    flat = a.flatten().tolist()
    share = sum(value > 0.97 or value < -0.97 for value in flat) / len(flat)
    got = saturated(a)
    expect.that(isinstance(got, float), "A Python float is needed.", got=type(got).__name__, want="float")
    expect.close(torch.tensor(got), torch.tensor(share), atol=1e-5, say="143 numbers, threshold 0.97.")
    share = sum(abs(value) > 0.5 for value in flat) / len(flat)
    expect.close(
        torch.tensor(saturated(a, threshold=0.5)), torch.tensor(share), atol=1e-5, say="Threshold 0.5."
    )
    share = sum(abs(value) > 0.9 for value in flat[:13]) / 13
    expect.close(
        torch.tensor(saturated(a[0], 0.9)), torch.tensor(share), atol=1e-5, say="One row, threshold 0.9."
    )
