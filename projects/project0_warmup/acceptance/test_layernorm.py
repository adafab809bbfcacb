"""Step `layernorm`: statistics of one token over its channels; no batch, no time, no modes.

B batch, T time, d = 5 channels (small, so that dividing by d - 1 shows).
"""

import norms_bench
import torch
import torch.nn.functional as F

from cohort_cli.checking.authoring import check

WEIGHTS = {"weight": (5,), "bias": (5,)}  # gamma and beta
AXES = ("batch", "token", "channel")


def by_hand(x, eps, gamma=1.0, beta=0.0):
    """Token by token."""
    mean = x.sum(-1, keepdim=True) / x.shape[-1]
    variance = ((x - mean) ** 2).sum(-1, keepdim=True) / x.shape[-1]
    return (x - mean) / (variance + eps) ** 0.5 * gamma + beta


@check("ln-token", title="each token gets mean 0 and variance 1 over its channels")
def test_ln_token(member, expect, rng):
    """A new LayerNorm only normalises. Mean and variance are those of one token, over its channels; the variance
    divides by d, not by d - 1. The last dimension is normalised, however many there are before it.

    Reading: Ba et al. 2016, section 3.
    """
    norm = member.norms.LayerNorm(5, eps=1e-12).double()
    for shape in ((2, 3, 5), (4, 5), (5,)):
        x = by_hand(rng.normal(*shape), 0.0) * 3 + rng.normal(*shape[:-1], 1) + 7
        want, axes = by_hand(x, 1e-12), AXES[3 - len(shape) :]
        expect.close(
            norm(x), want, atol=1e-3, axes=axes, say=f"x of shape {shape}."
        )  # eps is for the next check


@check("ln-eps", title="eps stands inside the root of LayerNorm too", needs=["ln-token"])
def test_ln_eps(member, expect, rng):
    """(x - mean) / sqrt(variance + eps). eps = 0.1 shows where it stands, and numbers so small that 0.00001 decides
    show the default. Compared with F.layer_norm.
    """
    x = rng.normal(2, 3, 5)
    x[:, 2] *= 0.05
    norm = member.norms.LayerNorm(5, eps=0.1).double()
    expect.close(norm(x), F.layer_norm(x, (5,), eps=0.1), axes=AXES, say="eps = 0.1.")
    norm = member.norms.LayerNorm(5).double()
    expect.close(norm(x / 300), F.layer_norm(x / 300, (5,)), axes=AXES, say="The default eps, 1e-5.")


@check("ln-gain", title="LayerNorm's gamma multiplies and its beta adds", needs=["ln-token"])
def test_ln_gain(member, expect, rng):
    """Each channel has a learned gamma and beta, the same for all tokens. Both are random here: gammas of 1 and betas
    of 0 would hide that they are missing or swapped.
    """
    norm, x = member.norms.LayerNorm(5, eps=0.1).double(), rng.normal(2, 3, 5)
    w = rng.fill(norm, WEIGHTS)
    expect.close(norm(x), F.layer_norm(x, (5,), w["weight"], w["bias"], eps=0.1), axes=AXES)


@check("ln-parameters", title="LayerNorm learns a gamma and a beta for each channel")
def test_ln_parameters(member, expect):
    """LayerNorm(5) learns 5 gammas, which start at 1, and 5 betas, which start at 0. They must be nn.Parameters: a
    plain tensor is never trained, and not saved.
    """
    parameters = member.norms.LayerNorm(5).parameters()
    values = sorted(value for p in parameters.values() for value in p.flatten().tolist())
    expect.equal(values, [0.0] * 5 + [1.0] * 5, say="All parameters of a new LayerNorm(5), sorted.")


@check("ln-alone", title="a token is normalised alone: any batch, length, padding and mode")
def test_ln_alone(member, expect, rng):
    """Why sequences prefer LayerNorm: the result of a token is the same in a batch of one, in a longer or a padded
    sequence, beside other tokens, in training and in evaluation mode, and after any number of calls.
    """
    norm = member.norms.LayerNorm(5, eps=0.1).double()
    norm.train()
    x = rng.normal(2, 4, 5) * 2 + 1
    whole = norm(x)
    expect.close(norm(x[1:]), whole[1:], axes=AXES, say="The second sequence alone, in a batch of one.")
    expect.close(norm(x[:, :1]), whole[:, :1], axes=AXES, say="The first token only: sequences of length 1.")
    got = member.bring(norms_bench).padded(norm, x, 3)
    expect.close(got, whole, axes=AXES, say="With three tokens of padding at the end of each sequence.")
    other = torch.cat([x[:1], rng.normal(1, 4, 5) * 50])
    expect.close(
        norm(other)[:1], whole[:1], axes=AXES, say="The first sequence beside a quite different one."
    )
    expect.close(norm(x), whole, axes=AXES, say="The same tokens again, after these calls.")
    norm.eval()
    expect.close(norm(x), whole, axes=AXES, say="In evaluation mode.")


@check("ln-gradient", title="LayerNorm's gradient knows about mean and variance", needs=["ln-gain"])
def test_ln_gradient(member, expect, rng):
    """Mean and variance depend on x, so they take part in the derivative; to detach them changes it. Compared with the
    gradients of F.layer_norm for x, gamma and beta.
    """
    norm = member.norms.LayerNorm(5, eps=0.1).double()
    w = rng.fill(norm, WEIGHTS)
    x, g = rng.normal(2, 3, 5), rng.normal(2, 3, 5)
    seen = member.vjp(norm, x, cotangent=g, params_of=norm)
    leaves = [t.clone().requires_grad_() for t in (x, w["weight"], w["bias"])]
    want = torch.autograd.grad((F.layer_norm(leaves[0], (5,), *leaves[1:], eps=0.1) * g).sum(), leaves)
    expect.close(seen.inputs[0], want[0], axes=AXES, say="The gradient of x.")
    found = [value for value in seen.parameters.values() if value is not None]
    expect.equal(len(found), 2, say="How many of gamma and beta got a gradient.")
    together = torch.stack(found).sort(0).values  # whichever of the two comes first
    expect.close(
        together, torch.stack(want[1:]).sort(0).values, say="The gradients of gamma and beta, sorted."
    )


@check("influence-values", title="influence says which outputs feel one token")
def test_influence_values(member, expect, rng):
    """One token of one sequence is replaced, and every token's output is looked at: how far did it move? f is a
    function of the check's own, in which a token looks back at earlier ones and at the other sequences. x must stay as
    it is.
    """
    matrix = rng.normal(5, 3)
    here, there = norms_bench.Mixer(matrix), member.bring(norms_bench).Mixer(matrix)
    for b, t in ((0, 1), (2, 1), (1, 2), (0, 3)):
        x, other = rng.normal(3, 4, 5), rng.normal(5)
        swapped = torch.stack([
            torch.stack([other if (i, j) == (b, t) else x[i, j] for j in range(4)]) for i in range(3)
        ])  # fmt: skip
        difference = here(swapped) - here(x)
        want = torch.maximum(difference.max(-1).values, -difference.min(-1).values)
        got, after = member.echo(member.norms.influence, there, x, b, t, other)
        say = f"Token {t} of sequence {b} was replaced."
        expect.close(got, want, axes=("batch", "token"), say=say)
        expect.close(after[1], x, atol=0.0, axes=AXES, say="x after the call.")
