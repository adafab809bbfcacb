"""Step `scaling`: N and C on paper, power laws with their errors, the best size of a budget."""

import math

import scaling_toys
import torch

from cohort_cli.checking.authoring import check

DOUBLE = torch.float64


def numbers(expect, got, count, say):
    """What came back, as a float64 tensor (count,)."""
    parts = list(got) if isinstance(got, tuple | list) else [got]
    fine = len(parts) == count and all(
        isinstance(v, int | float) or (isinstance(v, torch.Tensor) and v.numel() == 1) for v in parts
    )
    expect.that(fine, f"{say} {count} numbers are needed here.", got=got)
    return torch.tensor([float(v) for v in parts], dtype=DOUBLE)


def line(x, y):
    """Coefficients (intercept, slope), s^2, and the matrix (X^T X)^-1 of ln y against ln x, from the design matrix X."""
    u, v = torch.tensor(x, dtype=DOUBLE).log(), torch.tensor(y, dtype=DOUBLE).log()
    design = torch.stack([torch.ones_like(u), u], dim=-1)
    inverse = torch.linalg.inv(design.T @ design)
    fitted = inverse @ (design.T @ v)
    return fitted, (v - design @ fitted).square().sum() / (len(x) - 2), inverse


def lowest(sizes, losses):
    """The vertex of the least-squares parabola in ln N."""
    u = torch.tensor(sizes, dtype=DOUBLE).log()
    design = torch.stack([(u - u.mean()) ** power for power in range(3)], dim=-1)
    _, b, c = torch.linalg.solve(design.T @ design, design.T @ torch.tensor(losses, dtype=DOUBLE))
    return float((u.mean() - b / (2 * c)).exp())


def noisy_law(rng, count, spread=0.2):
    """Points around a power law, in no order, and its exponent and prefactor."""
    a, k = rng.random.uniform(-0.9, 0.9), rng.random.uniform(0.3, 8.0)
    x = [math.exp(rng.random.uniform(1.0, 9.0)) for _ in range(count)]
    return x, [k * v**a * math.exp(rng.random.gauss(0.0, spread)) for v in x], a, k


@check("scaling-parameters", title="N leaves out the tables of the embeddings, and nothing else")
def test_scaling_parameters(member, expect, rng):
    """A small network with two embedding tables, a layer with two names, a gain and a buffer. Its head is tied to the
    table of words (then only the head's bias counts) or has a matrix of its own (then that counts too).

    What is frozen counts, a buffer is no parameter, and a name says nothing. Kaplan et al. 2020, section 2.1.
    """
    toys = member.bring(scaling_toys)
    alike = True
    while alike:  # what could be counted wrongly are different numbers
        words, length, width, hidden = (rng.random.randrange(low, low + 9) for low in (60, 40, 5, 30))
        tables = [words * width, length * width, (words + length) * width]
        parts = [*tables, hidden * (width + 1), length**2, hidden * width]
        alike = len(set(parts)) < len(parts)
    body = width * hidden + hidden + width + hidden * width + words
    for tied in (True, False):
        for frozen in (False, True):
            toy = toys.Toy(words, length, width, hidden, tied)
            if frozen:
                toy.freeze()
            got = member.scaling.non_embedding_parameters(toy)
            want = body + (0 if tied else words * width)
            expect.equal(
                got, want, say=f"{words} words, {width} wide, tied={tied}, partly frozen={frozen}: N."
            )


@check("scaling-flops", title="C is 6 N D, and D follows from a budget")
def test_scaling_flops(member, expect, rng):
    """Random N and D; then the tokens that a budget pays for. Chinchilla's 70 billion parameters and 1.4 trillion
    tokens come to 5.88e23 FLOPs. A budget or a size that is not above 0 is a ValueError.
    """
    size, tokens = rng.random.uniform(1e3, 1e6), rng.random.uniform(1e4, 1e8)
    for n, d in ((size, tokens), (70e9, 1.4e12)):
        flops = numbers(expect, member.scaling.training_flops(n, d), 1, "training_flops.")
        want = torch.tensor([2 * n * d + 4 * n * d], dtype=DOUBLE)
        expect.close(flops, want, atol=0, rtol=1e-9, say=f"The FLOPs of N = {n:.3g} and D = {d:.3g}.")
        got = numbers(expect, member.scaling.tokens_for(float(want), n), 1, "tokens_for.")
        want = torch.tensor([d], dtype=DOUBLE)
        expect.close(got, want, atol=0, rtol=1e-9, say=f"The tokens for C = {6 * n * d:.3g} and N = {n:.3g}.")
    for flops, n in ((0.0, 10.0), (-6.0, 10.0), (6.0, 0.0), (-6.0, -1.0)):
        say = f"tokens_for({flops}, {n}): a ValueError."
        expect.raises(member.scaling.tokens_for, flops, n, say=say)


@check("scaling-fit", title="exponent and prefactor are those of a line between logarithms")
def test_scaling_fit(member, expect, rng):
    """First points without noise: the exponent and the prefactor that were planted come back, whichever sign the
    exponent has. Then points with noise, against the least-squares line in logarithms, from its design matrix.
    """
    for sign in (-1, 1):
        a, k = sign * rng.random.uniform(0.05, 0.9), rng.random.uniform(0.3, 8.0)
        x = [10.0 ** rng.random.uniform(3, 9) for _ in range(5)]
        got = numbers(expect, member.scaling.fit_power_law(x, [k * v**a for v in x]), 3, "fit_power_law.")[:2]
        want = torch.tensor([a, k], dtype=DOUBLE)
        expect.close(
            got, want, atol=1e-9, rtol=1e-9, axes=("number",), say="Exponent and prefactor, without noise."
        )
    for count in (3, 8):
        x, y, _, _ = noisy_law(rng, count)
        (at_zero, slope), _, _ = line(x, y)
        got = numbers(expect, member.scaling.fit_power_law(x, y), 3, "fit_power_law.")[:2]
        want = torch.stack([slope, at_zero.exp()])
        say = f"Exponent and prefactor, {count} points with noise."
        expect.close(got, want, atol=1e-9, rtol=1e-9, axes=("number",), say=say)


@check("scaling-error", title="the standard error is the slope's, with n - 2", needs=["scaling-fit"])
def test_scaling_error(member, expect, rng):
    """Three, four and nine points with noise, against sqrt(s^2 (X^T X)^-1) from the design matrix X. Points that lie
    on a line exactly have the error 0. With three points the difference between n - 2 and n is a factor of 1.7.
    """
    for count in (3, 4, 9):
        x, y, _, _ = noisy_law(rng, count)
        _, square, inverse = line(x, y)
        got = numbers(expect, member.scaling.fit_power_law(x, y), 3, "fit_power_law.")[2:]
        want = (square * inverse[1, 1]).sqrt()[None]
        expect.close(got, want, rtol=1e-7, axes=("number",), say=f"The standard error, {count} points.")
    x = [2.0, 8.0, 32.0, 128.0]
    got = numbers(expect, member.scaling.fit_power_law(x, [3.0 * v**-0.5 for v in x]), 3, "fit_power_law.")
    say = "The standard error of points that lie on the line."
    expect.close(got[2:], torch.zeros(1, dtype=DOUBLE), atol=1e-7, say=say)


@check("scaling-refuses", title="what no line can be fitted to is refused", needs=["scaling-fit"])
def test_scaling_refuses(member, expect):
    """Two points always lie on a line, so their error would be 0 / 0. A value of 0 or below has no logarithm, and nan
    is not above 0. Equal x leave the slope open. Lists of different lengths are a slip. Each is a ValueError.
    """
    good, nan = [1.0, 2.0, 4.0, 8.0], float("nan")
    for words, x, y in (
        ("2 points", good[:2], good[:2]),
        ("no points", [], []),
        ("4 and 3 values", good, good[:3]),
        ("3 and 4 values", good[:3], good),
        ("an x of 0", [0.0, *good], [1.0, *good]),
        ("a negative x", [-1.0, *good], [1.0, *good]),
        ("a y of 0", good, [3.0, 0.0, 1.0, 1.0]),
        ("a negative y", good, [3.0, -2.0, 1.0, 1.0]),
        ("a y of nan", good, [3.0, nan, 1.0, 1.0]),
        ("equal x", [3.0] * 4, good),
    ):
        expect.raises(member.scaling.fit_power_law, x, y, say=f"{words}: a ValueError.")


@check("scaling-predict", title="a prediction comes with a range that widens", needs=["scaling-error"])
def test_scaling_predict(member, expect, rng):
    """Value, low and high inside the points and far outside them, in logarithms. With X the design matrix and
    z = (1, ln at), half is t sqrt(s^2 (1 + z (X^T X)^-1 z)): the range of one new measurement, hence the 1.

    An `at` of 0 is a ValueError.
    """
    for count, t in ((3, 12.706), (7, 2.571)):
        x, y, _, _ = noisy_law(rng, count, spread=0.05)
        fitted, square, inverse = line(x, y)
        for at in (rng.random.uniform(20.0, 300.0), 1e6):
            z = torch.tensor([1.0, math.log(at)], dtype=DOUBLE)
            half = t * (square * (1 + z @ inverse @ z)).sqrt()
            want = torch.stack([z @ fitted, z @ fitted - half, z @ fitted + half])
            got = numbers(expect, member.scaling.predict(x, y, at, t=t), 3, "predict.").log()
            say = f"The logarithms of value, low and high at {at:.0f}, {count} points, t = {t}."
            expect.close(got, want, atol=1e-7, rtol=1e-7, axes=("number",), say=say)
    for at in (0.0, -2.0):
        say = f"at = {at}: a ValueError."
        expect.raises(member.scaling.predict, [1.0, 2.0, 4.0], [1.0, 2.0, 3.0], at, t=2.0, say=say)


@check("scaling-floor", title="a loss that cannot be undercut is found", needs=["scaling-fit"])
def test_scaling_floor(member, expect, rng):
    """y = E + A x^-alpha with an E that is one of the values to try: all three come back. Then points with noise,
    against a search over the same values. Three points for three numbers are a ValueError.
    """

    def residuals(x, y, floor, of_logarithms=False):
        (at_zero, slope), square, _ = line(x, [value - floor for value in y])
        curve = floor + torch.exp(at_zero + slope * torch.tensor(x, dtype=DOUBLE).log())
        return float(square if of_logarithms else (torch.tensor(y, dtype=DOUBLE) - curve).square().sum())

    for steps in (200, 70):
        more = {} if steps == 200 else {"steps": steps}
        x = [10.0 ** (2 + 0.5 * i + rng.random.uniform(0.0, 0.2)) for i in range(7)]
        rng.random.shuffle(x)
        alpha, lowest = rng.random.uniform(0.2, 0.6), rng.random.uniform(1.0, 3.0)
        low = steps // 8 if steps == 70 else steps * 5 // 8
        place = rng.random.randrange(low, low + steps // 4)
        share = (place + (place % 7 == 0)) / steps  # of 70: no value that 200 steps have too
        scale = lowest * (1 - share) * max(x) ** alpha
        y = [lowest * share + scale * value**-alpha for value in x]
        got = numbers(expect, member.scaling.fit_with_floor(x, y, **more), 3, "fit_with_floor.")
        want = torch.tensor([lowest * share, scale, alpha], dtype=DOUBLE)
        say = f"E, A and alpha, without noise, steps = {steps}."
        expect.close(got, want, atol=1e-6, rtol=1e-6, axes=("number",), say=say)
        best, other, clean = None, None, y
        while best == other:  # noise for which residuals of logarithms choose another floor
            y = [value * math.exp(rng.random.gauss(0.0, 0.01)) for value in clean]
            floors = [min(y) * i / steps for i in range(steps)]
            best = min(floors, key=lambda floor: residuals(x, y, floor))
            other = min(floors, key=lambda floor: residuals(x, y, floor, of_logarithms=True))
        fitted, _, _ = line(x, [value - best for value in y])
        got = numbers(expect, member.scaling.fit_with_floor(x, y, **more), 3, "fit_with_floor.")
        want = torch.stack([torch.tensor(best, dtype=DOUBLE), fitted[0].exp(), -fitted[1]])
        say = f"E, A and alpha, with noise, steps = {steps}."
        expect.close(got, want, atol=1e-7, rtol=1e-6, axes=("number",), say=say)
    for words, x, y in (
        ("3 points", [1.0, 2.0, 4.0], [3.0, 2.0, 1.0]),
        ("a negative y", [1.0, 2.0, 4.0, 8.0], [3.0, 2.0, 1.0, -1.0]),
        ("an x of 0", [0.0, 2.0, 4.0, 8.0], [4.0, 3.0, 2.0, 1.0]),
    ):
        expect.raises(member.scaling.fit_with_floor, x, y, say=f"{words}: a ValueError.")


@check("scaling-best", title="the best size is the vertex of a parabola in ln N")
def test_scaling_best(member, expect, rng):
    """Losses on a parabola in ln N: the vertex comes back, between the sizes or outside them, although the smallest loss
    that was measured is elsewhere. Then five losses with noise, against the least-squares parabola.

    Two sizes, lengths that differ, a size of 0, and a curve with no lowest point are ValueErrors.
    """
    best_size = member.scaling.best_size
    sizes = [1000.0 * 4.0**i * rng.random.uniform(0.8, 1.2) for i in range(3)]
    for vertex in (sizes[1] * rng.random.uniform(1.3, 1.6), sizes[2] * 1.7):
        losses = [2.0 + 0.07 * math.log(size / vertex) ** 2 for size in sizes]
        got = numbers(expect, best_size(sizes, losses), 1, "best_size.")
        say = f"The vertex, sizes {', '.join(f'{size:.0f}' for size in sizes)}, losses without noise."
        expect.close(got, torch.tensor([vertex], dtype=DOUBLE), atol=0, rtol=1e-6, say=say)
    sizes = [500.0 * 3.0**i * rng.random.uniform(0.8, 1.2) for i in range(5)]
    rng.random.shuffle(sizes)
    losses = [2.0 + 0.07 * math.log(size / 7000) ** 2 + rng.random.gauss(0.0, 0.01) for size in sizes]
    got = numbers(expect, best_size(sizes, losses), 1, "best_size.")
    want = torch.tensor([lowest(sizes, losses)], dtype=DOUBLE)
    expect.close(got, want, atol=0, rtol=1e-6, say="The vertex of five losses with noise.")
    for words, some, its in (
        ("2 sizes", [1.0, 2.0], [2.0, 1.0]),
        ("2 different sizes", [1.0, 2.0, 2.0], [2.0, 1.0, 1.1]),
        ("3 sizes and 2 losses", [1.0, 2.0, 4.0], [2.0, 1.0]),
        ("a size of 0", [0.0, 2.0, 4.0], [2.0, 1.0, 2.0]),
        ("a curve that opens downwards", [1.0, 2.0, 4.0], [1.0, 2.0, 1.0]),
    ):
        expect.raises(best_size, some, its, say=f"{words}: a ValueError.")


@check(
    "scaling-optimal",
    title="the best sizes of several budgets follow a power law",
    needs=["scaling-best", "scaling-error"],
)
def test_scaling_optimal(member, expect, rng):
    """Runs of four budgets in no order. On curves without noise, the exponent and the prefactor that were planted come
    back; with noise, the three numbers are those of the line through four vertices. Three budgets are the least.
    """
    a, k = rng.random.uniform(0.3, 0.7), rng.random.uniform(0.05, 0.4)
    budgets = [1e9 * 5.0**i * rng.random.uniform(0.8, 1.2) for i in range(4)]
    for noise in (0.0, 0.01):
        runs, best = [], []
        for flops in budgets:
            vertex = k * flops**a * math.exp(rng.random.gauss(0.0, 15 * noise))
            sizes = [vertex * 3.0 ** (i - 1.2) * rng.random.uniform(0.8, 1.2) for i in range(4)]
            losses = [
                1.5 + 0.05 * math.log(size / vertex) ** 2 + rng.random.gauss(0.0, noise) for size in sizes
            ]
            best.append(lowest(sizes, losses))
            runs += [(flops, size, loss) for size, loss in zip(sizes, losses, strict=True)]
        rng.random.shuffle(runs)
        (at_zero, slope), square, inverse = line(budgets, best)
        want = torch.stack([slope, at_zero.exp(), (square * inverse[1, 1]).sqrt()])
        got = numbers(expect, member.scaling.compute_optimal(runs), 3, "compute_optimal.")
        say = f"Exponent, prefactor and standard error, {'with' if noise else 'without'} noise."
        expect.close(got, want, atol=1e-6, rtol=1e-5, axes=("number",), say=say)
    few = [run for run in runs if run[0] in budgets[:2]]
    expect.raises(member.scaling.compute_optimal, few, say="Runs of two budgets: a ValueError.")
