"""Step `fused`: CausalSelfAttention, all heads in one multiplication.

B = 2 batch, C = 12 = d_model, H = 3 heads, D = 4 = head_dim; T up to 8.
"""

import torch
from torch import nn

from cohort_cli.checking.authoring import check

SHAPES = {"c_attn.weight": (36, 12), "c_attn.bias": (36,), "c_proj.weight": (12, 12), "c_proj.bias": (12,)}


def torchs(w):
    """torch's own module with the same weights."""
    module = nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    module.load_state_dict(
        {
            "in_proj_weight": w["c_attn.weight"],
            "in_proj_bias": w["c_attn.bias"],
            "out_proj.weight": w["c_proj.weight"],
            "out_proj.bias": w["c_proj.bias"],
        }
    )
    return module


def run(module, x):
    hidden = torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1)
    return module(x, x, x, attn_mask=hidden, need_weights=False)[0]


@check("fused-shape", title="any number of tokens up to max_seq_len works")
def test_fused_shape(member, expect, rng):
    """(B, T, C) in, (B, T, C) out, for T = 8 = max_seq_len, for fewer tokens, and for a single one.

    A mask that was made for max_seq_len must be cut to the T tokens that are there. More than max_seq_len
    tokens are a ValueError, and so are heads that do not divide d_model.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    for T in (8, 5, 1):
        expect.shape(
            attn(rng.normal(2, T, 12)), (2, T, 12), say=f"max_seq_len is 8, and the input has {T} tokens."
        )
    expect.raises(
        attn, rng.normal(2, 9, 12), say="9 tokens are more than max_seq_len = 8: that must be a ValueError."
    )
    expect.raises(
        member.attention.CausalSelfAttention,
        12,
        5,
        8,
        say="5 heads do not divide d_model = 12: a ValueError.",
    )


@check("fused-parameters", title="exactly the parameters of two linear layers")
def test_fused_parameters(member, expect):
    """c_attn has 36 * 12 + 36 numbers, c_proj 12 * 12 + 12: together 624. With bias=False the biases go.

    The mask is not among them: an optimizer would change it, and the count would depend on max_seq_len.
    """
    for bias, want in ((True, 624), (False, 576)):
        attn = member.attention.CausalSelfAttention(12, 3, 8, bias=bias)
        info = attn.parameter_info()
        expect.equal(
            sum(p.numel() for p in attn.parameters().values()),
            want,
            say=f"The number of parameters, bias={bias}.",
        )
        frozen = [name for name, entry in info.items() if not entry["requires_grad"]]
        expect.equal(frozen, [], say="These parameters would not be trained.")


@check("fused-one-token", title="one token attends to itself, whatever the scores are", needs=["fused-shape"])
def test_fused_one_token(member, expect, rng):
    """With a single token the only weight is 1, so the result is c_proj(value): no score matters.

    This finds out whether the value is the last third of c_attn's output, and whether c_proj is used.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    w = rng.fill(attn, SHAPES)
    x = rng.normal(2, 1, 12)
    value = x @ w["c_attn.weight"][24:].T + w["c_attn.bias"][24:]
    expect.close(attn(x), value @ w["c_proj.weight"].T + w["c_proj.bias"], axes=("batch", "query", "channel"))


@check("scale", title="scores are divided by sqrt(head_dim)", needs=["fused-one-token"])
def test_scale(member, expect, rng):
    """Each head has D = 4 channels, so its scores are divided by sqrt(4), not by sqrt(12).

    Two tokens. We undo c_proj and divide by the values, so you see the attention weights themselves: one 2
    x 2 matrix for each head. The second row tells: [0.5, 0.5] is indifference, [1, 0] is certainty.

    Reading: Vaswani et al. 2017, section 3.2.1.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    w = rng.fill(attn, SHAPES)
    x = rng.normal(1, 2, 12)
    queries, keys, values = (x @ w["c_attn.weight"].T + w["c_attn.bias"]).chunk(3, dim=-1)
    queries, keys, values = (
        t.unflatten(-1, (3, 4)).transpose(1, 2) for t in (queries, keys, values)
    )  # (1, 3, 2, 4)
    scores = queries @ keys.transpose(-2, -1) / 4**0.5
    scores[..., 0, 1] = float("-inf")

    mixed = torch.linalg.solve(w["c_proj.weight"], (attn(x) - w["c_proj.bias"]).transpose(-2, -1)).transpose(
        -2, -1
    )
    weights = mixed.unflatten(-1, (3, 4)).transpose(1, 2) @ torch.linalg.pinv(values)
    expect.close(weights, torch.softmax(scores, -1), atol=1e-6, axes=("batch", "head", "query", "key"))


@check("fused-values", title="all heads together give the same numbers as torch's", needs=["fused-one-token"])
def test_fused_values(member, expect, rng):
    """(B, T, C) must be cut into heads without mixing tokens: (B, T, H, D), then (B, H, T, D), and back the
    same way.

    `view(B, H, T, D)` has the right shape and the wrong numbers. Compared with torch.nn.MultiheadAttention
    on the same weights, for T = 7 < max_seq_len.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    w = rng.fill(attn, SHAPES)
    x = rng.normal(2, 7, 12)
    expect.close(attn(x), run(torchs(w), x).detach(), axes=("batch", "query", "channel"))


@check("fused-large", title="large scores neither overflow nor leak", needs=["fused-values"])
def test_fused_large(member, expect, rng):
    """Scores of a few thousand: exp overflows unless the maximum is subtracted first, and a mask of -50 hides nothing
    beside them. Masked scores must be minus infinity.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    w = rng.fill(attn, SHAPES)
    x = rng.normal(2, 7, 12, std=100.0)
    expect.close(attn(x), run(torchs(w), x).detach(), atol=1e-6, axes=("batch", "query", "channel"))


@check("fused-causal", title="no token sees a later one", needs=["fused-shape"])
def test_fused_causal(member, expect, rng):
    """Change the tokens from t on: the outputs before t must not move. And no gradient may flow back in
    time.

    Tried at full length and below it, because a mask can be cut out at the wrong place.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    rng.fill(attn, SHAPES)
    for T in (8, 5):
        x, other = rng.normal(2, T, 12), rng.normal(2, T, 12)
        before = attn(x)
        for t in (1, 2, T - 1):
            after = attn(torch.cat([x[:, :t], other[:, t:]], dim=1))
            say = f"T = {T}: the outputs before token {t}, after the tokens from {t} on were changed."
            expect.close(after[:, :t], before[:, :t], axes=("batch", "query", "channel"), say=say)
    g = torch.zeros(2, 5, 12, dtype=torch.float64)
    g[:, 2] = rng.normal(2, 12)
    gradient = member.vjp(attn, x, cotangent=g).inputs[0]
    expect.close(
        gradient[:, 3:],
        torch.zeros(2, 2, 12, dtype=torch.float64),
        say="The gradient of output 2 at tokens 3 and 4.",
    )


@check("fused-batch", title="the rows of a batch do not see each other", needs=["fused-shape"])
def test_fused_batch(member, expect, rng):
    """Three sequences at once must give what they give one at a time. A careless `view` mixes them.

    A batch of one would hide this.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    rng.fill(attn, SHAPES)
    x = rng.normal(3, 5, 12)
    alone = torch.cat([attn(x[b : b + 1]) for b in range(3)])
    expect.close(
        attn(x), alone, axes=("batch", "query", "channel"), say="All rows at once, against one at a time."
    )


@check("fused-dropout", title="dropout is on in training and off in eval", needs=["fused-shape"])
def test_fused_dropout(member, expect, rng):
    """After .eval() the same input gives the same output, as if dropout were 0. After .train() something is
    dropped, and what remains grows, so that the average over many runs is the output without dropout.
    F.dropout drops unless it is told training=self.training.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8, dropout=0.3).double().eval()
    w = rng.fill(attn, SHAPES)
    x = rng.normal(1, 5, 12)
    quiet, many = attn(x), attn.train()(x.expand(2000, 5, 12))
    want = run(torchs(w), x).detach()
    expect.close(quiet, want, say="In eval mode the output is that without dropout.")
    varies = bool(many.std(dim=0).max() > 1e-3)
    expect.that(varies, "In training, with dropout=0.3, some weights must be dropped.")
    # The average of 2000 runs lies within about 0.02 of 1; without rescaling it is 0.7 or 0.49.
    growth = float((many.mean(dim=0) * want[0]).sum() / want.pow(2).sum())
    say = "The average over many runs must be the output without dropout."
    expect.that(0.85 < growth < 1.15, say, got=growth, want=1.0)


@check(
    "fused-dropout-places",
    title="dropout acts on the attention weights and on the output",
    needs=["fused-dropout"],
)
def test_fused_dropout_places(member, expect, rng):
    """Two places, as in GPT-2. On the output, whole entries become 0: about three in ten with dropout=0.3. On the
    weights, what is left still varies: token 1 loses token 0, or itself, in some of the runs.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8, dropout=0.3).double().train()
    rng.fill(attn, SHAPES)
    many = attn(rng.normal(1, 2, 12).expand(2000, 2, 12))
    zeros = float((many == 0).double().mean())
    say = (
        "With dropout=0.3, about three in ten entries of the output must be 0: no dropout acts on the output."
    )
    expect.that(0.2 < zeros < 0.4, say)
    kept = many[:, 1, 0][many[:, 1, 0] != 0]
    varies = bool(kept.std() > 1e-6)
    expect.that(varies, "What is not dropped is always the same: no dropout acts on the attention weights.")
    kept = many[:, 0, 0][many[:, 0, 0] != 0]  # one weight for each of 3 heads: 2 * 2 * 2 outcomes
    outcomes = len(((kept - kept.min()) * 1e8).round().unique())
    say = "Token 0 has one weight in each of 3 heads, so dropped weights make at most 8 different outputs."
    expect.that(outcomes <= 8, say, got=f"{outcomes} different outputs" if outcomes < 16 else "many more")


@check("fused-gradient", title="every parameter gets the right gradient", needs=["fused-shape"])
def test_fused_gradient(member, expect, rng):
    """Gradients with respect to x and to all parameters, compared with those of
    torch.nn.MultiheadAttention.

    They are compared as one sorted list of numbers, so separate query, key and value layers are fine.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    w = rng.fill(attn, SHAPES)
    x, g = rng.normal(2, 5, 12), rng.normal(2, 5, 12)
    seen = member.vjp(attn, x, cotangent=g, params_of=attn)
    missing = [name for name, gradient in seen.parameters.items() if gradient is None]
    expect.equal(missing, [], say="These parameters get no gradient.")
    theirs, leaf = torchs(w), x.clone().requires_grad_()
    (run(theirs, leaf) * g).sum().backward()
    expect.close(
        seen.inputs[0], leaf.grad, axes=("batch", "token", "channel"), say="The gradient with respect to x."
    )
    want = numbers(p.grad for p in theirs.parameters())
    expect.close(numbers(seen.parameters.values()), want, say="The gradients of all parameters, sorted.")


@check("fused-saved", title="it can be saved, loaded, and used in float32", needs=["fused-shape"])
def test_fused_saved(member, expect, rng):
    """Everything that was learned must be in state_dict(): a second module that loads it gives the same
    output.

    A module in float32 takes float32 and gives float32.
    """
    attn = member.attention.CausalSelfAttention(12, 3, 8).double()
    rng.fill(attn, SHAPES)
    x = rng.normal(2, 5, 12)
    twin = member.attention.CausalSelfAttention(12, 3, 8).double()
    twin.load_state_dict(attn.state_dict())
    expect.close(twin(x), attn(x), say="A second module with the first one's state_dict.")
    small = attn.float()(x.float())
    expect.equal(str(small.dtype), "torch.float32", say="The output of a float32 module.")
    expect.close(small.double(), twin(x), atol=1e-4, say="The output in float32.")


def numbers(tensors):
    """Everything in these tensors as one sorted row."""
    return torch.cat([t.flatten() for t in tensors]).sort().values
