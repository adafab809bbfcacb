"""Step `layers`: LayerNorm, RMSNorm, GELU and the MLP. Each of them treats every token alone.

B batch, T time, C = d_model = 5 (small, so that dividing by C - 1 shows).
"""

import math

import torch
import torch.nn.functional as F

from cohort_cli.checking.authoring import check

NORM = {"weight": (5,), "bias": (5,)}
MLP = {"c_fc.weight": (7, 5), "c_fc.bias": (7,), "c_proj.weight": (5, 7), "c_proj.bias": (5,)}


@check("layernorm-statistics", title="LayerNorm gives each token mean 0 and variance 1")
def test_layernorm_statistics(member, expect, rng):
    """A new LayerNorm only normalises. Over the channels of every single token the mean must be 0, and the
    mean square 1. The variance divides by C, not by C - 1. Other tokens play no part.

    Reading: Ba et al. 2016, section 3.
    """
    y = member.layers.LayerNorm(5, eps=1e-12).double()(rng.normal(2, 3, 5) * 3 + 7)
    expect.shape(y, (2, 3, 5))
    expect.close(
        y.mean(-1), torch.zeros(2, 3, dtype=torch.float64), axes=("batch", "token"), say="The means."
    )
    ones = torch.ones(2, 3, dtype=torch.float64)
    expect.close(y.pow(2).mean(-1), ones, atol=1e-3, axes=("batch", "token"), say="The mean squares.")


@check(
    "layernorm-eps", title="eps stands inside the root, beside the variance", needs=["layernorm-statistics"]
)
def test_layernorm_eps(member, expect, rng):
    """(x - mean) / sqrt(variance + eps). Two sizes show it: eps = 0.1, and inputs so small that the
    default, 0.00001, decides. Compared with F.layer_norm.
    """
    x = rng.normal(2, 3, 5)
    x[:, 2] *= 0.05  # here the variance is less than eps
    y = member.layers.LayerNorm(5, eps=0.1).double()(x)
    expect.close(y, F.layer_norm(x, (5,), eps=0.1), axes=("batch", "token", "channel"), say="eps = 0.1.")
    y = member.layers.LayerNorm(5).double()(x / 300)
    expect.close(
        y, F.layer_norm(x / 300, (5,)), axes=("batch", "token", "channel"), say="The default eps, 1e-5."
    )


@check(
    "layernorm-gain", title="LayerNorm's gain multiplies and its bias adds", needs=["layernorm-statistics"]
)
def test_layernorm_gain(member, expect, rng):
    """After normalising, each channel has a learned gain and a learned bias. Here both are random:

    gains of 1 and biases of 0 would hide that they are missing or swapped.
    """
    norm = member.layers.LayerNorm(5).double()
    w = rng.fill(norm, NORM)
    x = rng.normal(2, 3, 5)
    want = F.layer_norm(x, (5,), w["weight"], w["bias"])
    expect.close(norm(x), want, axes=("batch", "token", "channel"))
    expect.close(
        norm(x[0]), want[0], axes=("token", "channel"), say="Two dimensions: the last one is normalised."
    )


@check("norm-parameters", title="the norms' parameters, and how they start")
def test_norm_parameters(member, expect):
    """LayerNorm(5) learns 5 gains, which start at 1, and 5 biases, which start at 0; with bias=False only
    the gains.

    RMSNorm(5) learns 5 gains. They must be nn.Parameters: a plain tensor is never trained.
    """
    norms = member.layers.LayerNorm(5), member.layers.LayerNorm(5, bias=False), member.layers.RMSNorm(5)
    wanted = ([0.0] * 5 + [1.0] * 5, [1.0] * 5, [1.0] * 5)
    names = ("LayerNorm(5)", "LayerNorm(5, bias=False)", "RMSNorm(5)")
    for norm, want, name in zip(norms, wanted, names, strict=True):
        values = sorted(value for p in norm.parameters().values() for value in p.flatten().tolist())
        expect.equal(values, want, say=f"All parameters of a new {name}, sorted.")


@check("layernorm-far", title="LayerNorm is exact far from zero", needs=["layernorm-eps"])
def test_layernorm_far(member, expect, rng):
    """mean(x^2) - mean(x)^2 is the variance on paper. In a computer two huge numbers cancel, and rounding
    errors are left.

    So subtract the mean first, and square afterwards. The inputs here lie around one million.
    """
    x = rng.normal(2, 3, 5) + 1e6
    y, want = member.layers.LayerNorm(5).double()(x), F.layer_norm(x, (5,))
    # Correct answers differ by about 1e-9 here; the difference of squares is off by 1e-4.
    name = "layernorm-difference-of-squares"
    expect.close(y, want, atol=1e-6, axes=("batch", "token", "channel"), mistake=name)


@check(
    "layernorm-gradient", title="LayerNorm's gradient knows about mean and variance", needs=["layernorm-gain"]
)
def test_layernorm_gradient(member, expect, rng):
    """Mean and variance depend on x, so they take part in the derivative: detaching them changes it.

    Compared with the gradients of F.layer_norm, for x, gain and bias.
    """
    norm = member.layers.LayerNorm(5, eps=0.1).double()
    w = rng.fill(norm, NORM)
    x, g = rng.normal(2, 3, 5), rng.normal(2, 3, 5)
    seen = member.vjp(norm, x, cotangent=g, params_of=norm)
    leaves = [t.clone().requires_grad_() for t in (x, w["weight"], w["bias"])]
    want = torch.autograd.grad((F.layer_norm(leaves[0], (5,), *leaves[1:], eps=0.1) * g).sum(), leaves)
    expect.close(
        seen.inputs[0], want[0], axes=("batch", "token", "channel"), say="The gradient with respect to x."
    )
    missing = [name for name, gradient in seen.parameters.items() if gradient is None]
    expect.equal(missing, [], say="These parameters get no gradient.")
    theirs = torch.cat(list(seen.parameters.values())).sort().values
    expect.close(theirs, torch.cat(want[1:]).sort().values, say="The gradients of gain and bias, sorted.")


@check("rmsnorm-values", title="RMSNorm divides by the root of the mean square")
def test_rmsnorm_values(member, expect, rng):
    """x / sqrt(mean(x^2) + eps) * weight: no mean is subtracted, and there is no bias. Compared with
    nn.RMSNorm, with random gains, with eps = 0.1, and with inputs so small that the default eps, 0.000001,
    decides.

    Reading: Zhang and Sennrich 2019, equation 4.
    """
    x = rng.normal(2, 3, 5) + 0.5
    x[:, 2] *= 0.05  # here the mean square is less than eps
    for scale, eps, word in ((1.0, 0.1, "eps = 0.1."), (0.001, 1e-6, "The default eps, 1e-6.")):
        norm = (member.layers.RMSNorm(5, eps) if eps == 0.1 else member.layers.RMSNorm(5)).double()
        gain = rng.fill(norm, {"weight": (5,)})["weight"]
        want = F.rms_norm(x * scale, (5,), gain, eps)
        expect.close(norm(x * scale), want, axes=("batch", "token", "channel"), say=word)
    expect.close(
        norm(x[0] * scale), want[0], axes=("token", "channel"), say="Two dimensions: the last is normalised."
    )


@check("gelu-tanh", title="GELU as GPT-2 was trained with it")
def test_gelu_tanh(member, expect, rng):
    """Without a second argument, or with "tanh": 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    The exact form differs by up to 0.0005, enough to spoil a comparison with GPT-2. The first input is
    -2.5, where the two lie far apart. Compared with F.gelu(x, approximate="tanh").
    """
    x = torch.cat([torch.tensor([-2.5, 0.0, 1.0, 4.0], dtype=torch.float64), rng.normal(8)])
    want = F.gelu(x, approximate="tanh")
    expect.close(member.layers.gelu(x), want, axes=("entry",), say=f"gelu(x) of x = {x[0]:.4f}, 0, 1, 4, …")
    expect.close(member.layers.gelu(x, approximate="tanh"), want, axes=("entry",), say='approximate="tanh".')


@check("gelu-exact", title="the exact GELU, and no other words")
def test_gelu_exact(member, expect, rng):
    """With approximate="none": x times the probability that a standard normal number is smaller than x.

    That probability is (1 + erf(x / sqrt(2))) / 2. Computed here with `math.erf`. Any word but "none" and
    "tanh" is a ValueError, so that a typing mistake does not silently choose one of the two.

    Reading: Hendrycks and Gimpel 2016, section 2.
    """
    x = torch.cat([torch.tensor([-2.5, 0.0, 1.0, 4.0], dtype=torch.float64), rng.normal(8)])
    want = torch.tensor([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x.tolist()], dtype=torch.float64)
    expect.close(member.layers.gelu(x, approximate="none"), want, axes=("entry",), say='approximate="none".')
    expect.raises(member.layers.gelu, x, approximate="exact", say='approximate="exact" must be a ValueError.')


@check("mlp-parameters", title="the hidden layer is as wide as it was told to be")
def test_mlp_parameters(member, expect):
    """MLP(5) has a hidden layer of 4 * 5 = 20: 5 * 20 + 20 numbers in c_fc and 20 * 5 + 5 in c_proj,
    together 225.

    With d_ff = 7 there are 82, and with bias=False only the 70 of the two matrices. An unknown activation
    is a ValueError.
    """
    for words, want in (({}, 225), ({"d_ff": 7}, 82), ({"d_ff": 7, "bias": False}, 70)):
        mlp = member.layers.MLP(5, **words)
        count = sum(p.numel() for p in mlp.parameters().values())
        expect.equal(count, want, say=f"The number of parameters of MLP(5) with {words}.")
    expect.raises(member.layers.MLP, 5, activation="gulu", say='activation="gulu" must be a ValueError.')


@check("mlp-values", title="linear, non-linearity, linear", needs=["mlp-parameters"])
def test_mlp_values(member, expect, rng):
    """c_proj(gelu(c_fc(x))), and the same with relu. Without the non-linearity two linear layers are only
    one.

    "gelu" means the tanh form. Compared with torch's own linear layers.

    Reading: Vaswani et al. 2017, section 3.3.
    """
    for activation in ("gelu", "relu"):
        mlp = member.layers.MLP(5, 7, activation=activation).double()
        w = rng.fill(mlp, MLP)
        x = rng.normal(2, 3, 5)
        hidden = F.linear(x, w["c_fc.weight"], w["c_fc.bias"])
        hidden = F.gelu(hidden, approximate="tanh") if activation == "gelu" else F.relu(hidden)
        want = F.linear(hidden, w["c_proj.weight"], w["c_proj.bias"])
        expect.close(mlp(x), want, axes=("batch", "token", "channel"), say=f'activation="{activation}".')


@check("mlp-dropout", title="the MLP's dropout is on in training and off in eval", needs=["mlp-parameters"])
def test_mlp_dropout(member, expect, rng):
    """After .eval() the output is the one without dropout. After .train() some outputs are 0 and the others
    grow, so that the average stays the same. F.dropout drops unless it is told training=self.training.
    """
    mlp = member.layers.MLP(5, 7, activation="relu", dropout=0.3).double().eval()
    w = rng.fill(mlp, MLP)
    x = rng.normal(50, 5)
    active = F.linear(x, w["c_fc.weight"], w["c_fc.bias"]) > 0
    x = x[active.sum(dim=1).argmax()][
        None
    ]  # behind a relu that lets nothing through there is nothing to drop
    want = F.linear(
        F.relu(F.linear(x, w["c_fc.weight"], w["c_fc.bias"])), w["c_proj.weight"], w["c_proj.bias"]
    )
    expect.close(mlp(x), want, say="In eval mode the output is that without dropout.")
    many = mlp.train()(x.expand(4000, 5))
    expect.that(
        bool(many.std(dim=0).max() > 1e-3), "In training, with dropout=0.3, something must be dropped."
    )
    zeros = float((many == 0).double().mean())
    say = "About three in ten entries of the output must be 0: dropout acts on the output, after c_proj."
    expect.that(0.2 < zeros < 0.4, say)
    # The average of 4000 runs lies within about 0.02 of 1; without rescaling it is 0.7.
    growth = float((many.mean(dim=0) * want[0]).sum() / want.pow(2).sum())
    expect.that(
        0.85 < growth < 1.15,
        "The average over many runs must be the output without dropout.",
        got=growth,
        want=1.0,
    )


@check(
    "layers-keep", title="inputs stay as they are, and float32 stays float32", needs=["layernorm-statistics"]
)
def test_layers_keep(member, expect, rng):
    """`x -= x.mean()` writes into the residual stream, which the caller still needs.

    A module in float32 takes float32 and gives float32.
    """
    x = rng.normal(2, 3, 5, dtype=torch.float32)
    layers = {"LayerNorm": member.layers.LayerNorm(5), "RMSNorm": member.layers.RMSNorm(5)}
    layers |= {"gelu": member.layers.gelu, "MLP": member.layers.MLP(5)}
    for name, layer in layers.items():
        y, (after,) = member.echo(layer, x)
        expect.close(after, x, atol=0.0, say=f"The input of {name} after the call.")
        expect.equal(str(y.dtype), "torch.float32", say=f"{name} turned float32 into another data type.")
