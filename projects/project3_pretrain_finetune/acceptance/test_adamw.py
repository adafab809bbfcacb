"""Step `adamw`: the optimizer AdamW, compared with its rule and with torch's own.

The oracle is torch.optim.AdamW in float64, one parameter after another (foreach=False).
"""

import optim_bench
import torch

from cohort_cli.checking.authoring import check

SHAPES = ((3, 4), (5,), (2, 3, 2))
OPTIONS = {"lr": 0.05, "betas": (0.8, 0.95), "eps": 0.1, "weight_decay": 0.0}


def drawn(rng, n_steps, shapes=SHAPES, std=1.0):
    """First values, and a gradient for each parameter at each step."""
    first = [rng.normal(*shape) for shape in shapes]
    return first, [[rng.normal(*shape, std=std) for shape in shapes] for _ in range(n_steps)]


def torchs(first, steps, changes=None, **options):
    """The values after each step, by torch."""
    leaves = optim_bench.Leaves(first)
    return optim_bench.train(leaves, torch.optim.AdamW(leaves, foreach=False, **options), steps, changes)


@check("adamw-first-step", title="the first step is lr * g / (|g| + eps)")
def test_adamw_first_step(member, expect, rng):
    """At t = 1 both corrections cancel the factors 1 - beta: m_hat is g and v_hat is g * g. So without decay w becomes
    w - lr * g / (|g| + eps): almost lr in size, whatever the size of the gradient.

    eps is 0.1 here, so its place shows: it stands outside the root, and after the correction.
    """
    bench = member.bring(optim_bench)
    first, steps = drawn(rng, 1)
    leaves = bench.Leaves(first)
    got = bench.train(leaves, member.optim.AdamW(leaves, **OPTIONS), steps)
    w, g = (torch.cat([value.flatten() for value in part]) for part in (first, steps[0]))
    expect.close(got[0], w - 0.05 * g / (g.abs() + 0.1), axes=("number",), say="All weights after one step.")


@check("adamw-steps", title="eight steps follow the rule", needs=["adamw-first-step"])
def test_adamw_steps(member, expect, rng):
    """m and v are running means with beta1 = 0.8 and beta2 = 0.95; t counts the steps, and with it the corrections fade.

    Compared with torch.optim.AdamW in float64 after each step. The gradients must be left as they are: whoever logs
    their norm afterwards reads them.
    """
    bench = member.bring(optim_bench)
    first, steps = drawn(rng, 8)
    leaves = bench.Leaves(first)
    got = bench.train(leaves, member.optim.AdamW(leaves, **OPTIONS), steps)
    want = torchs(first, steps, **OPTIONS)
    expect.close(got, want, axes=("step", "number"), say="All weights after each of 8 steps.")
    last = torch.cat([gradient.flatten() for gradient in steps[-1]])
    expect.close(bench.gradients(leaves), last, say="The gradients after the last step.")


@check("adamw-decay", title="the decay is decoupled from the gradient", needs=["adamw-steps"])
def test_adamw_decay(member, expect, rng):
    """With gradients of 0, each step multiplies the weights by 1 - lr * weight_decay, and does nothing else.

    If the decay is added to the gradient (L2), Adam divides it by sqrt(v) again: all weights shrink by the same amount,
    large or small. With gradients, the weights are compared with torch's: the decay comes before the step.

    Reading: Loshchilov and Hutter 2019, section 2.
    """
    bench = member.bring(optim_bench)
    options = {**OPTIONS, "weight_decay": 0.7}
    first, steps = drawn(rng, 5)
    still = [[torch.zeros_like(gradient) for gradient in row] for row in steps]
    leaves = bench.Leaves(first)
    got = bench.train(leaves, member.optim.AdamW(leaves, **options), still)
    w = torch.cat([value.flatten() for value in first])
    want = torch.stack([w * (1 - 0.05 * 0.7) ** (n + 1) for n in range(5)])
    expect.close(got, want, axes=("step", "number"), say="Five steps with gradients of 0.")
    leaves = bench.Leaves(first)
    got = bench.train(leaves, member.optim.AdamW(leaves, **options), steps)
    want = torchs(first, steps, **options)
    expect.close(got, want, axes=("step", "number"), say="Five steps with gradients.")


@check("adamw-groups", title="each group has its own options, read at each step", needs=["adamw-decay"])
def test_adamw_groups(member, expect, rng):
    """Two groups with other lr, betas, eps and weight_decay each. A schedule writes group["lr"] between the steps, so
    an lr that was stored when the optimizer was made would never change. With lr = 0 nothing moves.
    """
    bench = member.bring(optim_bench)
    first, steps = drawn(rng, 6)
    other = {"lr": 0.02, "betas": (0.5, 0.9), "eps": 0.3, "weight_decay": 0.4}
    changes = {2: [(0, "lr", 0.01)], 3: [(1, "lr", 0.09), (1, "weight_decay", 0.9)]}
    stop = {5: [(0, "lr", 0.0), (1, "lr", 0.0)]}

    def groups(leaves):
        return [{"params": leaves.some(0, 2), "weight_decay": 0.2}, {"params": leaves.some(1), **other}]

    for what, plan in (
        ("Two groups.", {}),
        ("Two groups, lr and weight_decay change before the third and the fourth step.", changes),
        ("Two groups, lr = 0 from the sixth step on.", stop),
    ):
        theirs, ours = bench.Leaves(first), optim_bench.Leaves(first)
        got = bench.train(theirs, member.optim.AdamW(groups(theirs), **OPTIONS), steps, plan)
        torch_adamw = torch.optim.AdamW(groups(ours), foreach=False, **OPTIONS)
        want = optim_bench.train(ours, torch_adamw, steps, plan)
        expect.close(got, want, axes=("step", "number"), say=f"{what} The weights after each step.")


@check("adamw-skips", title="what has no gradient stays as it is", needs=["adamw-decay"])
def test_adamw_skips(member, expect, rng):
    """The first parameter is frozen, the second gets no gradient before the third step, nor at the fourth. Without a
    gradient there is no step: no decay, and its t does not move. So its first own step has t = 1, whatever the others
    have done.
    """
    bench = member.bring(optim_bench)
    options = {**OPTIONS, "weight_decay": 0.7}
    first, steps = drawn(rng, 6)
    for number, row in enumerate(steps):
        row[0] = None
        row[1] = row[1] if number in (2, 4, 5) else None
    leaves = bench.Leaves(first, (0,))
    got = bench.train(leaves, member.optim.AdamW(leaves, **options), steps)
    want = torchs(first, steps, **options)
    say = "Numbers 0 to 11 are frozen, 12 to 16 have gradients at the steps 2, 4 and 5."
    expect.close(got, want, axes=("step", "number"), say=say)


@check("adamw-resume", title="a loaded state goes on as if nothing had happened", needs=["adamw-decay"])
def test_adamw_resume(member, expect, rng):
    """After four steps, state_dict() goes to a new AdamW on the same weights, and four more steps follow. The result
    must be that of eight steps in a row, to the last digit.

    m, v and t belong into self.state[p]: what is kept elsewhere is not in state_dict(), and starts at 0 again. The new
    one is made with another lr; the one that was saved counts.
    """
    bench = member.bring(optim_bench)
    options = {**OPTIONS, "weight_decay": 0.3}
    first, steps = drawn(rng, 8)
    before = bench.Leaves(first)
    old = member.optim.AdamW(before, **options)
    bench.train(before, old, steps[:4])
    after = bench.again(before)
    new = member.optim.AdamW(after, **{**options, "lr": 0.5})
    bench.hand_over(old, new)
    got = bench.train(after, new, steps[4:])
    want = bench.train(before, old, steps[4:])
    say = "The weights after the steps 4 to 7, saved and loaded before step 4."
    expect.close(got, want, atol=1e-14, axes=("step", "number"), say=say)
    expect.close(
        got, torchs(first, steps, **options)[4:], axes=("step", "number"), say="Compared with torch."
    )


@check("adamw-parity", title="100 steps in float32 with the defaults", needs=["adamw-steps", "adamw-decay"])
def test_adamw_parity(member, expect, rng):
    """The defaults are lr 1e-3, betas (0.9, 0.999), eps 1e-8 and weight_decay 0.01. Gradients of all sizes, from 1e-9 to
    10, since a model has them all.

    Compared with torch.optim.AdamW in float64. In 100 steps the weights move by up to 0.1. Rounding in float32 makes up
    to 0.0000015 of that in six ways of writing the rule; 0.00001 is allowed.
    """
    bench = member.bring(optim_bench)
    sizes = torch.logspace(-9, 1, 24, dtype=torch.float64)
    first = [rng.normal(24, std=0.2).float(), rng.normal(4, 3, std=0.2).float()]
    slope = rng.normal(24)
    steps = [[((slope + rng.normal(24)) * sizes).float(), rng.normal(4, 3).float()] for _ in range(100)]
    leaves = bench.Leaves(first)
    got = bench.train(leaves, member.optim.AdamW(leaves), steps)
    exact = [value.double() for value in first]
    want = torchs(exact, [[gradient.double() for gradient in row] for row in steps])
    expect.equal(got.dtype, torch.float32, say="The data type of float32 weights after 100 steps.")
    expect.close(got.double(), want, atol=1e-5, axes=("step", "number"), say="All weights after each step.")


@check("adamw-closure", title="step(closure) computes and returns the loss", needs=["adamw-first-step"])
def test_adamw_closure(member, expect, rng):
    """torch's optimizers take a function that computes the loss and the gradients anew. It is called once, with
    gradients enabled although the update itself runs without; its result is what step() returns. Without it: None.
    """
    bench = member.bring(optim_bench)
    first, _ = drawn(rng, 0)
    leaves = bench.Leaves(first)
    optimizer = member.optim.AdamW(leaves, **OPTIONS)
    returned, calls = bench.step_with_closure(leaves, optimizer)
    expect.equal(calls, [True], say="For each call of the closure: were gradients enabled?")
    w = torch.cat([value.flatten() for value in first])
    got = torch.tensor(float("nan") if returned is None else returned, dtype=torch.float64)
    expect.close(got, (w * w).sum(), rtol=1e-9, say="What step(closure) returned (nan: nothing).")
    want = w - 0.05 * 2 * w / (2 * w.abs() + 0.1)
    expect.close(bench.values(leaves), want, say="The weights after step(closure).")
    expect.equal(optimizer.step(), None, say="What step() returns.")


@check("adamw-refused", title="options that make no sense are refused")
def test_adamw_refused(member, expect, rng):
    """A negative lr climbs instead of descending, and a beta of 1 divides by 0. They are ValueErrors, when the optimizer
    is made and not hours later. A beta of 0 and an lr of 0 are allowed.
    """
    weight = [rng.normal(3, 2)]
    wrong = (
        {"lr": -0.1},
        {"betas": (1.0, 0.9)},
        {"betas": (0.9, 1.0)},
        {"betas": (-0.1, 0.9)},
        {"eps": -1e-8},
        {"weight_decay": -0.1},
    )
    for options in wrong:
        words = ", ".join(f"{name}={value}" for name, value in options.items())
        expect.raises(member.optim.AdamW, weight, **options, say=f"{words}: a ValueError.")
    member.optim.AdamW(weight, lr=0.0, betas=(0.0, 0.0), eps=0.0, weight_decay=0.0)
