"""Step `schedule`: which parameters decay, and the learning rate of each step."""

import math

import schedule_bench
import torch

from cohort_cli.checking.authoring import check

DECAY = ("conv.weight", "positions", "tokens.weight", "up.weight")
NO_DECAY = ("conv.bias", "norm.bias", "norm.weight", "scale", "up.bias")


def wanted(weight_decay):
    return dict(sorted({**dict.fromkeys(DECAY, weight_decay), **dict.fromkeys(NO_DECAY, 0.0)}.items()))


@check("groups-decay", title="matrices and embeddings decay, biases and gains do not")
def test_groups_decay(member, expect):
    """What has two or more dimensions decays, also an embedding, a table of positions and a convolution. What has one
    or none does not: biases, gains, a single scale. The name and the type of a layer do not matter.

    A gain that decays is pulled from 1 to 0, and with it everything that passes the norm.
    """
    bench = member.bring(schedule_bench)
    for weight_decay in (0.1, 0.3):
        model = bench.Small()
        given = {} if weight_decay == 0.1 else {"weight_decay": weight_decay}
        optimizer = member.schedule.configure_optimizers(model, lr=0.01, **given)
        seen, want = bench.decays(model, optimizer), wanted(weight_decay)
        seen = {name: seen[name][0] for name in want if name in seen}
        say = f"weight_decay={weight_decay}: the decay of each parameter."
        expect.equal(seen, {name: want[name] for name in seen}, say=say)


@check(
    "groups-complete",
    title="every trainable parameter is there once, no frozen one",
    needs=["groups-decay"],
)
def test_groups_complete(member, expect):
    """Head and embedding are one tied parameter with two names: it is in one group, once, or it would be changed twice.

    A parameter that is left out is never trained, and nobody says so. A frozen one has no place in an optimizer.
    """
    bench = member.bring(schedule_bench)
    model = bench.Small()
    optimizer = member.schedule.configure_optimizers(model, lr=0.01)
    seen, want = bench.decays(model, optimizer), wanted(0.1)
    several = [name for name, places in seen.items() if len(places) > 1]
    expect.equal(several, [], say="Parameters that are there more than once.")
    expect.equal(sorted(set(want) - set(seen)), [], say="Trainable parameters that are in no group.")
    expect.equal(sorted(set(seen) - set(want)), [], say="Frozen parameters that are in a group.")
    expect.equal(len(bench.options(optimizer)), 2, say="The number of groups.")


@check("groups-options", title="lr and betas hold for both groups", needs=["groups-decay"])
def test_groups_options(member, expect, rng):
    """lr is the one that was given; betas are (0.9, 0.95) unless others are given. A schedule writes the lr of every
    group later.
    """
    bench = member.bring(schedule_bench)
    lr, betas = rng.random.uniform(0.001, 0.1), (0.7, 0.85)
    for given, want in (({"betas": betas}, betas), ({}, (0.9, 0.95))):
        optimizer = member.schedule.configure_optimizers(bench.Small(), lr=lr, **given)
        seen = bench.options(optimizer)
        say = f"lr={lr:.4f}, betas={want}: lr and betas of each group."
        expect.equal(seen, [(lr, want)] * len(seen), say=say)


@check("groups-steps", title="the optimizer takes AdamW's steps", needs=["groups-options", "groups-complete"])
def test_groups_steps(member, expect, rng):
    """With gradients of 0, what decays becomes smaller by the factor 1 - lr * weight_decay at each step; everything
    else, and what is frozen, stays as it is to the last digit.

    With gradients, two steps are compared with torch.optim.AdamW. `fused` may change the speed, not the values.
    """
    bench = member.bring(schedule_bench)
    count = sum(p.numel() for p in schedule_bench.Small().parameters())
    first, gradients = rng.normal(count), [rng.normal(count) for _ in range(2)]
    options = {"lr": 0.05, "weight_decay": 0.4, "betas": (0.8, 0.9)}

    def trained(kit, configure, rows, **more):
        model = kit.Small().double()
        kit.fill(model, first)
        before = kit.steps(model, None, [])
        optimizer = configure(model, **options, **more)
        return before, kit.steps(model, optimizer, rows)

    def torchs(model, lr, weight_decay, betas):
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for name, p in named if name in names], "weight_decay": rate}
            for names, rate in ((DECAY, weight_decay), (NO_DECAY, 0.0))
        ]
        return torch.optim.AdamW(groups, lr=lr, betas=betas, foreach=False)

    before, after = trained(bench, member.schedule.configure_optimizers, [None, None, None])
    for name, value in before.items():
        factor = (1 - 0.05 * 0.4) ** 3 if name in DECAY else 1.0
        say = f"{name} after three steps with gradients of 0: times {factor:.4f}."
        expect.close(after[name], value * factor, say=say)
    _, want = trained(schedule_bench, torchs, gradients)
    for fused in (None, False):
        _, after = trained(bench, member.schedule.configure_optimizers, gradients, fused=fused)
        for name, value in want.items():
            expect.close(after[name], value, say=f"{name} after two steps, fused={fused}.")


def rates(member, steps, **options):
    """The learning rates of these steps, in float64."""
    return torch.tensor(
        [float(member.schedule.lr_at(step, **options)) for step in steps], dtype=torch.float64
    )


def cosine(step, max_lr, min_lr, warmup_steps, max_steps):
    """From a quarter turn of a pointer: its height runs from 1 to -1 while the angle runs from 0 to pi."""
    angle = math.pi * (step - warmup_steps) / (max_steps - warmup_steps)
    return (max_lr + min_lr) / 2 + (max_lr - min_lr) / 2 * math.cos(angle)


@check("lr-warmup", title="the warm-up climbs in equal stairs from step 0")
def test_lr_warmup(member, expect, rng):
    """Step s has max_lr * (s + 1) / warmup_steps. So step 0 does not have the learning rate 0, which would be a step
    for nothing, and step warmup_steps - 1 has max_lr. Adam's v is a poor estimate at first, so steps begin small.
    """
    for warmup_steps in (4, 1, 37):
        max_lr = rng.random.uniform(0.001, 0.1)
        options = {"max_lr": max_lr, "min_lr": max_lr / 7, "warmup_steps": warmup_steps, "max_steps": 91}
        want = max_lr * torch.arange(1, warmup_steps + 1, dtype=torch.float64) / warmup_steps
        got = rates(member, range(warmup_steps), **options)
        say = f"max_lr={max_lr:.4f}, warmup_steps={warmup_steps}: the learning rates of the warm-up."
        expect.close(got, want, atol=1e-12, axes=("step",), say=say)


@check("lr-cosine", title="then half a cosine leads from max_lr down to min_lr", needs=["lr-warmup"])
def test_lr_cosine(member, expect, rng):
    """Step warmup_steps has max_lr; half way between it and max_steps the rate is the mean of max_lr and min_lr; at
    max_steps it is min_lr. The curve is flat at both ends.

    Reading: Loshchilov and Hutter 2017, section 3.
    """
    for warmup_steps, max_steps in ((5, 47), (0, 30), (1, 3)):
        max_lr = rng.random.uniform(0.001, 0.1)
        options = {"max_lr": max_lr, "min_lr": max_lr / 7}
        options |= {"warmup_steps": warmup_steps, "max_steps": max_steps}
        steps = range(warmup_steps, max_steps + 1)
        want = torch.tensor([cosine(step, **options) for step in steps], dtype=torch.float64)
        got = rates(member, steps, **options)
        say = f"max_lr={max_lr:.4f}, min_lr={max_lr / 7:.4f}, steps {warmup_steps} to {max_steps}."
        expect.close(got, want, atol=1e-12, axes=("step after the warm-up",), say=say)


@check("lr-end", title="after max_steps the rate stays at min_lr", needs=["lr-cosine"])
def test_lr_end(member, expect, rng):
    """A run that goes on for longer than planned stays at min_lr. A cosine that goes on climbs again, and a straight
    line would become negative: then the model unlearns.
    """
    max_lr = rng.random.uniform(0.001, 0.1)
    for min_lr in (max_lr / 9, 0.0):
        options = {"max_lr": max_lr, "min_lr": min_lr, "warmup_steps": 6, "max_steps": 40}
        later = (40, 41, 50, 74, 80, 109, 10_000)
        want = torch.full((len(later),), min_lr, dtype=torch.float64)
        say = f"max_lr={max_lr:.4f}, min_lr={min_lr:.4f}, max_steps=40: the rates of the steps {later}."
        expect.close(rates(member, later, **options), want, atol=1e-12, axes=("place",), say=say)


@check("lr-edges", title="no warm-up and no cosine are both allowed", needs=["lr-cosine"])
def test_lr_edges(member, expect, rng):
    """warmup_steps=0 begins with max_lr at once; warmup_steps = max_steps climbs and then stays at min_lr. Neither may
    divide by 0.

    Steps below 0, more warm-up than steps, and a min_lr above max_lr are ValueErrors.
    """
    max_lr = rng.random.uniform(0.001, 0.1)
    options = {"max_lr": max_lr, "min_lr": max_lr / 9}
    tensor = torch.tensor([max_lr, cosine(1, **options, warmup_steps=0, max_steps=3)], dtype=torch.float64)
    got = rates(member, range(2), **options, warmup_steps=0, max_steps=3)
    expect.close(got, tensor, atol=1e-12, axes=("step",), say="warmup_steps=0, max_steps=3: steps 0 and 1.")
    tensor = torch.tensor([max_lr / 3, max_lr / 1.5, max_lr, max_lr / 9, max_lr / 9], dtype=torch.float64)
    got = rates(member, range(5), **options, warmup_steps=3, max_steps=3)
    expect.close(got, tensor, atol=1e-12, axes=("step",), say="warmup_steps=3, max_steps=3: steps 0 to 4.")
    lr_at = member.schedule.lr_at
    for words, step, more in (
        ("step -1", -1, {"warmup_steps": 2, "max_steps": 9}),
        ("warmup_steps -1", 3, {"warmup_steps": -1, "max_steps": 9}),
        ("max_steps -1", 3, {"warmup_steps": 0, "max_steps": -1}),
        ("warmup_steps 10 of max_steps 9", 3, {"warmup_steps": 10, "max_steps": 9}),
    ):
        expect.raises(lr_at, step, **options, **more, say=f"{words}: a ValueError.")
    say = "min_lr above max_lr: a ValueError."
    expect.raises(lr_at, 3, max_lr=0.1, min_lr=0.2, warmup_steps=2, max_steps=9, say=say)
