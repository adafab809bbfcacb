import torch

from cohort_cli.checking.authoring import check


@check("multiplies", title="multiplies by the gain", needs=["total"])
def test_gain(member, expect, rng):
    """A module with a parameter."""
    layer = member.gain.Gain(4).double()
    w = rng.fill(layer, {"weight": (4,)})
    x = rng.normal(2, 4)
    expect.close(layer(x), x * w["weight"] + x.sum(-1, keepdim=True), axes=("batch", "channel"))


@check("gradient", title="the gain receives its gradient", needs=["multiplies"])
def test_gradient(member, expect, rng):
    """Backward through the member's module."""
    layer = member.gain.Gain(4).double()
    x, g = rng.normal(2, 4), rng.normal(2, 4)
    got = member.vjp(layer, x, cotangent=g, params_of=layer)
    expect.that(got.parameters["weight"] is not None, "The gain received no gradient.")
    expect.close(got.parameters["weight"], (x * g).sum(0))
    expect.close(got.inputs[0], g + g.sum(-1, keepdim=True))


@check("refuses", title="refuses a width of zero")
def test_refuses(member, expect):
    """An error that names the mistake."""
    expect.raises(member.gain.Gain, 0)


@check("dtype", title="stays in float32", needs=["multiplies"])
def test_dtype(member, expect, rng):
    """Types."""
    layer = member.gain.Gain(4)
    expect.equal(layer(rng.normal(2, 4, dtype=torch.float32)).dtype, torch.float32)
