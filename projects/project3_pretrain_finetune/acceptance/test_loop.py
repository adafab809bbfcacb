"""Step `loop`: clipping, accumulation, mixed precision, one step, and the whole run.

B batch, T = 4 tokens, V = 7 = vocab_size, a model of width 5 that the check brings along.
"""

import loop_toys
import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

from cohort_cli.checking.authoring import check

RUN = {
    "steps": 6,
    "batch_size": 5,
    "micro_batch_size": 2,
    "block_size": 4,
    "max_lr": 0.05,
    "min_lr": 0.002,
    "warmup_steps": 2,
    "weight_decay": 0.3,
    "max_norm": 0.4,
}


def new_model(toys, rng, **words):
    """A model there, and one with the same weights here."""
    there, here = toys.Tiny(**words), loop_toys.Tiny(**words)
    dtype = words.get("dtype", torch.float64)
    values = {name: rng.normal(*p.shape, dtype=dtype) for name, p in here.named_parameters()}
    there.assign(values)
    here.load_state_dict(values)
    return there, here


def whole_loss(model, micro_batches):
    """The mean over all targets that count, in one piece: no sum is split."""
    logits = torch.cat([model(x)[0].flatten(0, 1) for x, _ in micro_batches])
    return F.cross_entropy(logits, torch.cat([y.flatten() for _, y in micro_batches]))


def flat(tensors):
    return torch.cat([t.flatten() for t in tensors])


@check("clip-norm", title="all gradients together are shortened to max_norm")
def test_clip_norm(member, expect, rng):
    """One norm over all parameters: the root of the sum of all squares. One factor for all, so the direction stays.

    The norm before clipping comes back. A parameter without a gradient is left out, and the parameters may come from a
    generator, as model.parameters() does.
    """
    toys = member.bring(loop_toys)
    given = [rng.normal(3, 4), None, rng.normal(5), rng.normal(2, 2) * 3]
    given[2][1] = 9.0  # alone longer than half of the whole, so it matters what is cut
    norm = flat(g for g in given if g is not None).norm()
    for share in (0.5, 0.1):
        holder = toys.Holder([g if g is None else g.clone() for g in given])
        got = member.loop.clip_grad_norm(holder.once(), float(norm) * share)
        after = holder.now()
        expect.equal([g is None for g in after], [g is None for g in given], say="Which have a gradient.")
        want = flat(g for g in given if g is not None) * share
        expect.close(
            flat(g for g in after if g is not None), want, atol=1e-4, say="All gradients, in one row."
        )
        expect.close(got, norm, atol=1e-6, say="The result: the norm before clipping.")


@check("clip-below", title="a gradient that is short enough stays as it is", needs=["clip-norm"])
def test_clip_below(member, expect, rng):
    """Below max_norm nothing changes, not even in the last bit: clipping shortens, it never lengthens.

    A gradient of zeros, and no gradient at all, have the norm 0.
    """
    toys = member.bring(loop_toys)
    given = [rng.normal(3, 4), rng.normal(5)]
    holder = toys.Holder([g.clone() for g in given])
    got = member.loop.clip_grad_norm(holder.once(), 100.0)
    expect.close(flat(holder.now()), flat(given), atol=0.0, say="All gradients, in one row, max_norm 100.")
    expect.close(got, flat(given).norm(), atol=1e-6, say="The result.")
    holder = toys.Holder([torch.zeros(3, dtype=torch.float64)])
    member.loop.clip_grad_norm(holder.once(), 1.0)
    expect.close(holder.now()[0], torch.zeros(3), say="A gradient of zeros.")
    got = member.loop.clip_grad_norm(toys.Holder([None, None]).once(), 1.0)
    expect.close(got, torch.tensor(0.0), say="The norm when no parameter has a gradient.")


@check("accumulate-equal", title="four micro-batches give the gradient of the whole batch")
def test_accumulate_equal(member, expect, rng):
    """Eight rows at once, and the same eight as four times two: the same gradient, up to rounding.

    Each micro-batch has its own backward. A second call adds to the gradient that is there.
    """
    toys = member.bring(loop_toys)
    there, here = new_model(toys, rng)
    x, y = rng.integers(0, 7, 8, 4), rng.integers(0, 7, 8, 4)
    micro = list(zip(x.split(2), y.split(2), strict=True))
    want = flat(torch.autograd.grad(whole_loss(here, [(x, y)]), list(here.parameters())))
    member.loop.accumulate(there, micro)
    got = flat(toys.gradients(there).values())
    expect.equal(member.get(there, "rows"), [2, 2, 2, 2], say="Rows in each forward pass.")
    expect.close(got, want, atol=1e-6, say="All gradients, in one row.")
    member.loop.accumulate(there, micro)
    got = flat(toys.gradients(there).values())
    expect.close(got, 2 * want, atol=1e-6, say="All gradients after a second call: twice as large.")


def uneven(rng):
    """Micro-batches of different sizes, in which very different numbers of targets count."""
    batches = []
    for rows, length, hidden in ((2, 4, 1), (3, 5, 12), (1, 3, 0)):
        x, y = rng.integers(0, 7, rows, length), rng.integers(0, 7, rows, length)
        y.view(-1)[rng.permutation(rows * length)[:hidden]] = -100
        batches.append((x, y))
    return batches


@check("accumulate-tokens", title="every target that counts weighs the same", needs=["accumulate-equal"])
def test_accumulate_tokens(member, expect, rng):
    """Micro-batches with 7, 3 and 3 targets that count: the sum over all 13, divided by 13.

    The mean of three means is something else: there a target in a short answer weighs more than one in a long answer.
    Large libraries had this mistake for years. If no target counts, there is nothing to divide by: a ValueError.
    """
    toys = member.bring(loop_toys)
    there, here = new_model(toys, rng)
    micro = uneven(rng)
    want = flat(torch.autograd.grad(whole_loss(here, micro), list(here.parameters())))
    member.loop.accumulate(there, micro)
    expect.close(flat(toys.gradients(there).values()), want, atol=1e-6, say="All gradients, in one row.")
    x = rng.integers(0, 7, 2, 4)
    nothing = [(x, torch.full_like(x, -100))]
    silent = "accumulate-nothing-counts-nan"  # a nan equals nothing, so it is named here
    expect.raises(
        member.loop.accumulate, there, nothing, say="No target counts: a ValueError.", mistake=silent
    )


@check("accumulate-loss", title="the loss is that of the whole batch", needs=["accumulate-equal"])
def test_accumulate_loss(member, expect, rng):
    """A Python float: the mean over all targets that count in all micro-batches, not the last micro-batch's.

    Here the model is wrong about one micro-batch much more than about the others, so it matters what is averaged.
    """
    toys = member.bring(loop_toys)
    there, here = new_model(toys, rng)
    micro = uneven(rng)
    worst = here(micro[1][0])[0].argmin(-1)
    micro[1] = (micro[1][0], worst.where(micro[1][1] >= 0, -100))
    got = member.loop.accumulate(there, micro)
    expect.that(isinstance(got, float), "The loss must be a Python float.", got=type(got).__name__)
    want = whole_loss(here, micro).detach()
    expect.close(torch.tensor(got, dtype=torch.float64), want, atol=1e-6, say="The loss.")


@check(
    "mixed-precision",
    title="bfloat16 in the forward pass, float32 everywhere else",
    needs=["accumulate-loss"],
)
def test_mixed_precision(member, expect, rng):
    """Matrix products in bfloat16 are fast on a GPU, with 8 bits of precision. Weights, gradients and loss need more:

    a step of 1e-4 on a weight of 1 is lost in bfloat16, and so is every difference of two losses below 0.008.
    The loss must be exactly that of the logits, and the gradient about that of float32.
    """
    toys = member.bring(loop_toys)
    there, here = new_model(toys, rng, width=24, dtype=torch.float32)
    micro = uneven(rng)
    for dtype in ("float32", "bfloat16"):
        model = member.deepcopy(there)
        loss = member.loop.accumulate(model, micro, dtype=dtype)
        expect.equal(
            member.get(model, "dtypes"), [dtype] * 3, say=f"dtype={dtype!r}: in what the layers computed."
        )
        kinds = {str(p["dtype"]).removeprefix("torch.") for p in model.parameter_info().values()}
        expect.equal(kinds, {"float32"}, say=f"dtype={dtype!r}: the weights afterwards.")
        gradients = toys.gradients(model)
        kinds = {str(g.dtype).removeprefix("torch.") for g in gradients.values()}
        expect.equal(kinds, {"float32"}, say=f"dtype={dtype!r}: the gradients.")
        logits = torch.cat([part.flatten(0, 1).double() for part in member.get(model, "logits")])
        want = F.cross_entropy(logits, torch.cat([y.flatten() for _, y in micro]))
        expect.close(
            torch.tensor(loss, dtype=torch.float64), want, atol=2e-5, say=f"dtype={dtype!r}: the loss."
        )
        exact = flat(torch.autograd.grad(whole_loss(here, micro), list(here.parameters())))
        # Measured over 500 seeds: float32 strays by 1e-7 of the gradient's length, bfloat16 by up to 0.042.
        strays = float((flat(gradients.values()) - exact).norm() / exact.norm())
        expect.that(strays < 0.2, f"dtype={dtype!r}: the gradient must be about that of float32.", got=strays)
    expect.raises(
        member.loop.accumulate, there, micro, dtype="float8", say="dtype='float8' is not known: a ValueError."
    )


@check(
    "step-order",
    title="one step: set the rate, drop old gradients, accumulate, clip, step",
    needs=["accumulate-tokens", "clip-norm"],
)
def test_step_order(member, expect, rng):
    """Three steps of plain gradient descent on five rows, two at a time, with another learning rate each time.

    Before the first, old gradients lie around. Each gradient is longer than max_norm. The parameters are in two groups,
    and both must follow the rate.
    """
    toys = member.bring(loop_toys)
    there, here = new_model(toys, rng)
    optimizer = toys.sgd(there, 0.3)
    toys.set_gradients(there, 5.0)
    weights, numbers, want_weights, want_numbers = [], [], [], []
    for lr in (0.7, 0.2, 0.4):
        x, y = rng.integers(0, 7, 5, 4), rng.integers(0, 7, 5, 4)
        y[4, 1:] = -100
        here.zero_grad()
        loss = whole_loss(here, [(x, y)])
        loss.backward()
        max_norm = 0.6 * float(flat(p.grad for p in here.parameters()).norm())
        norm = clip_grad_norm_(here.parameters(), max_norm)
        with torch.no_grad():
            for p in here.parameters():
                p -= lr * p.grad
        want_weights.append(flat(here.parameters()).detach())
        want_numbers.append(torch.stack([loss.detach(), norm]))
        got = member.loop.train_step(there, optimizer, x, y, lr=lr, micro_batch_size=2, max_norm=max_norm)
        weights.append(flat(there.parameters().values()))
        numbers.append(torch.tensor([got["loss"], got["grad_norm"]], dtype=torch.float64))
    words = {"atol": 1e-4, "say": "All weights in one row, after each step."}
    expect.close(torch.stack(weights), torch.stack(want_weights), axes=("step", "weight"), **words)
    words = {"atol": 1e-4, "say": "loss and grad_norm of each step."}
    expect.close(torch.stack(numbers), torch.stack(want_numbers), axes=("step", "number"), **words)


def functions(member):
    parts = (member.data.get_batch, member.schedule.lr_at, member.schedule.configure_optimizers)
    return [member.get(part, "") for part in parts]


def own_run(member):
    return member.get(member.loop.train, ""), member.get(member.loop.TrainConfig, "")


@check(
    "train-run",
    title="the run: rates, batches and weights of every step",
    needs=["step-order", "batch-generator", "lr-cosine"],
)
def test_train_run(member, expect, rng):
    """Six steps with your own get_batch, lr_at and configure_optimizers, compared with a plain loop around these.

    The learning rate belongs to the optimizer step, not to the micro-batch. One generator, seeded once, draws
    all batches. Each callback hears of every step. The model came in eval mode and must be trained in training mode.
    """
    toys = member.bring(loop_toys)
    there, _ = new_model(toys, rng)
    other = member.deepcopy(there)
    there.eval()
    train_data, val_data = rng.integers(0, 7, 90), rng.integers(0, 7, 50)
    c = {**RUN, "seed": rng.random.randrange(2**31)}
    losses, _, first, second, _ = toys.run(*own_run(member), there, train_data, val_data, c)
    log = toys.plain_run(*functions(member), other, train_data, c)
    expect.equal([row.get("step") for row in first], list(range(6)), say="Steps that a callback heard of.")
    for name, atol in (("lr", 1e-12), ("loss", 1e-4), ("grad_norm", 1e-4)):
        got = torch.tensor([row.get(name, -1.0) for row in first], dtype=torch.float64)
        want = torch.tensor([row[name] for row in log], dtype=torch.float64)
        expect.close(got, want, atol=atol, axes=("step",), say=f"What the callback heard as {name}.")
    expect.equal(second, first, say="What the second callback heard.")
    expect.equal(losses, [row["loss"] for row in first], say="result.losses")
    rows = member.get(there, "rows")
    expect.equal(rows, [2, 2, 1] * 6, say="Rows in each forward pass.")
    expect.equal(set(member.get(there, "modes")), {True}, say="model.training in each forward pass.")
    weights, want = flat(there.parameters().values()), flat(other.parameters().values())
    expect.close(weights, want, atol=1e-4, say="All weights after the run, in one row.")


@check(
    "train-evaluates",
    title="evaluation on the side, without any effect",
    needs=["train-run", "estimate-mode"],
)
def test_train_evaluates(member, expect, rng):
    """With eval_every=4 in a run of 6 steps: after 4 steps, and after the last one.

    Each time the same batches of val_data, with dropout off, and back in training mode afterwards. An evaluation draws
    nothing from the training's generator: the weights after the run are those of a run without it.
    """
    toys = member.bring(loop_toys)
    quiet, _ = new_model(toys, rng)
    there = member.deepcopy(quiet)
    train_data, val_data = rng.integers(0, 7, 90), rng.integers(3, 7, 50)
    c = {**RUN, "seed": rng.random.randrange(2**31)}
    toys.run(*own_run(member), quiet, train_data, val_data, c)
    c |= {"eval_every": 4, "eval_batches": 3}
    _, val_losses, rows, _, training = toys.run(*own_run(member), there, train_data, val_data, c)
    expect.equal(
        sorted(val_losses), [4, 6], say="The steps done at each evaluation: keys of result.val_losses."
    )
    weights, want = flat(there.parameters().values()), flat(quiet.parameters().values())
    expect.close(weights, want, atol=1e-6, say="All weights, compared with a run without evaluation.")
    modes = member.get(there, "modes")
    batches = toys.batches(functions(member)[0], val_data, c, 3)
    loss = member.loss.estimate_loss(there, member.feed(batches), 3)["loss"]
    got, loss = (torch.tensor(value, dtype=torch.float64) for value in (val_losses[6], loss))
    expect.close(got, loss, atol=1e-6, say="The validation loss after the last step.")
    heard = [row["step"] for row in rows if "val_loss" in row]
    expect.equal(heard, [3, 5], say="Steps in which the callback heard a val_loss.")
    expect.equal(modes, [True] * 12 + [False] * 3 + [True] * 6 + [False] * 3, say="model.training each time.")
    expect.equal(training, True, say="model.training after the run.")


@check("train-goes-on", title="a second call goes on where the first one stopped", needs=["train-run"])
def test_train_goes_on(member, expect, rng):
    """Stopped after two steps by a callback, then called again with start_step=2 and the same optimizer and generator:

    the weights are those of six steps in one piece. The schedule, Adam's moments and the order of the data all go on.
    """
    toys = member.bring(loop_toys)
    there, _ = new_model(toys, rng)
    other = member.deepcopy(there)
    data = rng.integers(0, 7, 90)
    c = {**RUN, "seed": rng.random.randrange(2**31)}
    steps = toys.run_in_two_parts(*own_run(member), there, data, c, 2)
    expect.equal(steps, [2, 3, 4, 5], say="Steps of the second call.")
    get_batch, lr_at, _ = functions(member)
    toys.run_in_one_part(get_batch, lr_at, other, data, c)
    weights, want = flat(there.parameters().values()), flat(other.parameters().values())
    expect.close(weights, want, atol=1e-4, say="All weights after the second call, in one row.")
