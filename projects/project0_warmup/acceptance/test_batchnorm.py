"""Step `batchnorm`: statistics over the batch in training, running ones in evaluation.

B batch, T time, d = 5 channels. B and T are small, so that dividing by N - 1 shows.
"""

import norms_bench
import torch

from cohort_cli.checking.authoring import check

WEIGHTS = {"weight": (5,), "bias": (5,)}  # gamma and beta
NAMES = ("running_mean", "running_var")


def by_hand(x, eps, gamma=1.0, beta=0.0):
    """Channel by channel, with N = the count of all other dimensions."""
    rows = x.reshape(-1, x.shape[-1])
    mean = rows.sum(0) / len(rows)
    variance = ((rows - mean) ** 2).sum(0) / len(rows)
    return (x - mean) / (variance + eps) ** 0.5 * gamma + beta


def spread(rng, *shape):
    """Random numbers whose channels have different means, and deviations from 0.5 to 3 (unless there is one row)."""
    x = rng.normal(*shape)
    rows = x.reshape(-1, shape[-1])
    if len(rows) > 1:
        x = (x - rows.mean(0)) / rows.std(0, correction=0)
    return x * torch.tensor([0.5, 1.0, 2.0, 3.0, 0.8]) + rng.normal(shape[-1]) * 2


@check("bn-batch", title="in training each channel gets mean 0 and variance 1 over the batch")
def test_bn_batch(member, expect, rng):
    """A new BatchNorm1d in training mode. Mean and variance of a channel are taken over all rows; for (B, T, d) over
    all tokens of all sequences. The variance divides by the count N. The running statistics play no part here.

    Reading: Ioffe and Szegedy 2015, algorithm 1.
    """
    norm = member.norms.BatchNorm1d(5, eps=1e-12).double()
    norm.train()
    for shape, axes in (((6, 5), ("row", "channel")), ((2, 3, 5), ("batch", "token", "channel"))):
        x = spread(rng, *shape)
        say = f"x of shape {shape}, in training mode."
        expect.close(norm(x), by_hand(x, 1e-12), atol=1e-3, axes=axes, say=say)  # eps is for the next check
    x = spread(rng, 2, 5)
    say = "Two rows are enough."
    expect.close(norm(x), by_hand(x, 1e-12), atol=1e-3, axes=("row", "channel"), say=say)


@check("bn-eps", title="eps stands inside the root, beside the variance", needs=["bn-batch"])
def test_bn_eps(member, expect, rng):
    """(x - mean) / sqrt(variance + eps): a channel that is the same in all rows must not divide by 0. eps = 0.1 shows
    where it stands, and numbers so small that 0.00001 decides show the default.
    """
    x = spread(rng, 6, 5)
    x[:, 2] *= 0.05
    norm = member.norms.BatchNorm1d(5, eps=0.1).double()
    expect.close(norm(x), by_hand(x, 0.1), axes=("row", "channel"), say="eps = 0.1.")
    norm = member.norms.BatchNorm1d(5).double()
    expect.close(norm(x / 300), by_hand(x / 300, 1e-5), axes=("row", "channel"), say="The default eps, 1e-5.")


@check("bn-gain", title="gamma multiplies and beta adds, in both modes", needs=["bn-batch", "bn-parameters"])
def test_bn_gain(member, expect, rng):
    """After normalising, each channel is multiplied by its gamma, and its beta is added. Both are random here: gammas
    of 1 and betas of 0 would hide that they are missing or swapped.
    """
    norm, x = member.norms.BatchNorm1d(5, eps=0.1).double(), spread(rng, 6, 5)
    w = rng.fill(norm, WEIGHTS)
    want = by_hand(x, 0.1, w["weight"], w["bias"])
    expect.close(norm(x), want, axes=("row", "channel"), say="In training mode.")
    mean, variance = rng.normal(5), rng.normal(5) ** 2 + 0.5
    member.bring(norms_bench).remember(norm, mean, variance)
    norm.eval()
    want = (x - mean) / (variance + 0.1) ** 0.5 * w["weight"] + w["bias"]
    expect.close(norm(x), want, axes=("row", "channel"), say="In evaluation mode.")


@check("bn-parameters", title="what is learned, and what is only remembered")
def test_bn_parameters(member, expect):
    """BatchNorm1d(5) learns 5 gammas, which start at 1, and 5 betas, which start at 0. running_mean and running_var are
    buffers: an optimizer does not see them, but they are saved with the model. They start at 0 and at 1.
    """
    norm = member.norms.BatchNorm1d(5)
    values = sorted(value for p in norm.parameters().values() for value in p.flatten().tolist())
    expect.equal(values, [0.0] * 5 + [1.0] * 5, say="All parameters of a new BatchNorm1d(5), sorted.")
    buffers, state = norm.buffers(), norm.state_dict()
    found = [name for name in NAMES if name in buffers]
    expect.equal(found, list(NAMES), say="The running statistics among the buffers.")
    expect.equal([name for name in NAMES if name in state], list(NAMES), say="Those in the state_dict.")
    for name, start in zip(NAMES, (torch.zeros(5), torch.ones(5)), strict=True):
        expect.close(buffers[name], start, say=f"{name} of a new BatchNorm1d(5).")


@check("bn-running", title="the running statistics follow the batches", needs=["bn-batch", "bn-parameters"])
def test_bn_running(member, expect, rng):
    """running = (1 - momentum) * running + momentum * batch, at each call in training mode, for the mean and for the
    variance. The variance that goes in divides by N - 1 (the one that normalises by N): it is an estimate for rows that
    were never seen. No gradient may lead from there into a batch that is gone.
    """
    for kwargs, momentum in (({}, 0.1), ({"momentum": 0.3}, 0.3)):
        norm, mean, variance = member.norms.BatchNorm1d(5, **kwargs).double(), 0.0, 1.0
        norm.train()
        for call, shape in enumerate(((6, 5), (2, 3, 5), (4, 5))):
            x = spread(rng, *shape)
            norm(x)
            rows = x.reshape(-1, 5)
            mean = (1 - momentum) * mean + momentum * rows.mean(0)
            off = rows - rows.mean(0)
            variance = (1 - momentum) * variance + momentum * (off**2).sum(0) / (len(rows) - 1)
            buffers = norm.buffers()
            say = f"after {call + 1} calls in training mode, momentum {momentum}."
            expect.close(buffers["running_mean"], mean, axes=("channel",), say=f"running_mean {say}")
            expect.close(buffers["running_var"], variance, axes=("channel",), say=f"running_var {say}")
    norm = member.norms.BatchNorm1d(5).double()
    left = member.bring(norms_bench).with_history(norm, spread(rng, 6, 5))
    expect.equal(left, [], say="Running statistics through which gradients would flow into an old batch.")


@check(
    "bn-eval", title="in evaluation mode the running statistics normalise, and stay", needs=["bn-parameters"]
)
def test_bn_eval(member, expect, rng):
    """After eval(), mean and variance are the running ones, for one row as for many, and no call changes them. So the
    result of a row does not depend on the rows beside it. The variance is used as it is, with eps inside the root.
    """
    norm = member.norms.BatchNorm1d(5, eps=0.1).double()
    mean, variance = rng.normal(5), rng.normal(5) ** 2 + 0.5
    member.bring(norms_bench).remember(norm, mean, variance)
    norm.eval()
    for shape in ((6, 5), (1, 5), (2, 3, 5)):
        x = spread(rng, *shape)
        want = (x - mean) / (variance + 0.1) ** 0.5
        expect.close(norm(x), want, say=f"x of shape {shape}, in evaluation mode.")
    buffers = norm.buffers()
    expect.close(buffers["running_mean"], mean, axes=("channel",), say="running_mean after three such calls.")
    expect.close(
        buffers["running_var"], variance, axes=("channel",), say="running_var after three such calls."
    )


@check("bn-gradient", title="the gradient knows that mean and variance depend on x", needs=["bn-gain"])
def test_bn_gradient(member, expect, rng):
    """In training mode every row takes part in mean and variance, so each row's gradient depends on all rows. To detach
    one of them changes it. Compared with the gradients of the formula, for x, gamma and beta.
    """
    norm = member.norms.BatchNorm1d(5, eps=0.1).double()
    w = rng.fill(norm, WEIGHTS)
    x, g = spread(rng, 6, 5), rng.normal(6, 5)
    seen = member.vjp(norm, x, cotangent=g, params_of=norm)
    leaves = [t.clone().requires_grad_() for t in (x, w["weight"], w["bias"])]
    want = torch.autograd.grad((by_hand(leaves[0], 0.1, *leaves[1:]) * g).sum(), leaves)
    expect.close(seen.inputs[0], want[0], axes=("row", "channel"), say="The gradient of x.")
    found = [value for value in seen.parameters.values() if value is not None]
    expect.equal(len(found), 2, say="How many of gamma and beta got a gradient.")
    together = torch.stack(found).sort(0).values  # whichever of the two comes first
    expect.close(
        together, torch.stack(want[1:]).sort(0).values, say="The gradients of gamma and beta, sorted."
    )


@check(
    "bn-one-number",
    title="one number has no variance: an error in training mode",
    needs=["bn-batch", "bn-parameters"],
)
def test_bn_one_number(member, expect, rng):
    """A batch of one row, in training mode: its mean is itself, the output would be beta whatever x is, and N - 1 is 0.
    That must raise ValueError. One sequence of several tokens is fine; and in evaluation mode so is one row.
    """
    norm = member.norms.BatchNorm1d(5).double()
    norm.train()
    bench = member.bring(norms_bench)
    for shape in ((1, 5), (1, 1, 5)):
        say = f"x of shape {shape} in training mode: the error, and whether the running statistics are still finite."
        expect.equal(bench.attempt(norm, spread(rng, *shape)), ["ValueError", True], say=say)
    x = spread(rng, 1, 3, 5)
    expect.close(norm(x), by_hand(x, 1e-5), say="One sequence of three tokens has three numbers a channel.")
    norm.eval()
    expect.shape(norm(spread(rng, 1, 5)), (1, 5), say="One row in evaluation mode.")
