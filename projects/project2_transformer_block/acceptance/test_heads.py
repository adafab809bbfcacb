"""Step `heads`: one attention head, and several side by side.

B = 2 batch, T = 5 time, C = 6 = d_model.
"""

import torch
import torch.nn.functional as F
from torch import nn

from cohort_cli.checking.authoring import check

HEAD = {"query.weight": (4, 6), "key.weight": (4, 6), "value.weight": (4, 6)}
MULTI = {f"heads.{h}.{name}.weight": (2, 6) for h in range(3) for name in ("query", "key", "value")}
MULTI |= {"c_proj.weight": (6, 6), "c_proj.bias": (6,)}


def one_head(x, w, causal):
    """What torch makes of one head."""
    q, k, v = (x @ w[f"{name}.weight"].T for name in ("query", "key", "value"))
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def all_heads(w):
    """torch's own module with the same weights: the heads' matrices one below the other."""
    module = nn.MultiheadAttention(6, 3, batch_first=True, dtype=torch.float64)
    rows = [w[f"heads.{h}.{name}.weight"] for name in ("query", "key", "value") for h in range(3)]
    state = {"in_proj_weight": torch.cat(rows), "in_proj_bias": torch.zeros(18, dtype=torch.float64)}
    module.load_state_dict(state | {"out_proj.weight": w["c_proj.weight"], "out_proj.bias": w["c_proj.bias"]})
    return module


def run(module, x, causal=True):
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    return module(x, x, x, attn_mask=hidden, need_weights=False)[0]


@check("head-shape", title="one head: output shape, and three matrices without bias")
def test_head_shape(member, expect, rng):
    """A head with d_head = 4 turns (B, T, 6) into (B, T, 4), for any T.

    It learns three matrices of 4 x 6 numbers: for queries, for keys and for values. There is no bias.
    """
    head = member.attention.SelfAttentionHead(6, 4).double()
    for T in (5, 1):
        expect.shape(head(rng.normal(2, T, 6)), (2, T, 4))
    expect.equal(
        sum(p.numel() for p in head.parameters().values()),
        72,
        say="The head must learn 3 * 4 * 6 = 72 numbers.",
    )


@check("head-causal", title="a head never looks ahead", needs=["head-shape", "mask-values"])
def test_head_causal(member, expect, rng):
    """Change the last tokens: the outputs before them must not move at all. And no gradient may flow back
    in time.

    This is the test to trust when a training loss looks too good. It asks nothing about how you wrote the
    head.
    """
    head = member.attention.SelfAttentionHead(6, 4).double()
    rng.fill(head, HEAD)
    x, other = rng.normal(2, 5, 6), rng.normal(2, 5, 6)
    before = head(x)
    for t in range(1, 5):
        changed = torch.cat([x[:, :t], other[:, t:]], dim=1)
        expect.close(
            head(changed)[:, :t],
            before[:, :t],
            axes=("batch", "query", "channel"),
            say=f"The outputs before token {t}, after the tokens from {t} on were changed.",
        )
    g = torch.zeros(2, 5, 4, dtype=torch.float64)
    g[:, 2] = rng.normal(2, 4)
    gradient = member.vjp(head, x, cotangent=g).inputs[0]
    expect.close(
        gradient[:, 3:],
        torch.zeros(2, 2, 6, dtype=torch.float64),
        say="The gradient of output 2 at tokens 3 and 4.",
    )


@check("head-values", title="a head gives the right numbers", needs=["head-shape", "masked-values"])
def test_head_values(member, expect, rng):
    """Queries, keys and values are three different projections of the same x; attention is causal by
    default.

    Compared with F.scaled_dot_product_attention on the same weights.
    """
    head = member.attention.SelfAttentionHead(6, 4).double()
    w = rng.fill(head, HEAD)
    x = rng.normal(2, 5, 6)
    expect.close(head(x), one_head(x, w, causal=True), axes=("batch", "query", "channel"))


@check(
    "head-both-ways",
    title="with causal=False a head sees all tokens",
    needs=["head-shape", "attention-values"],
)
def test_head_both_ways(member, expect, rng):
    """Without a mask the order of the tokens does not matter: shuffle the input, and the output is shuffled
    alike.

    That is why a model needs positions (a later step).
    """
    head = member.attention.SelfAttentionHead(6, 4, causal=False).double()
    w = rng.fill(head, HEAD)
    x, order = rng.normal(2, 5, 6), rng.permutation(5)
    y = head(x)
    expect.close(y, one_head(x, w, causal=False), axes=("batch", "query", "channel"))
    expect.close(head(x[:, order]), y[:, order], say="The shuffled input must give the shuffled output.")


@check("multi-parameters", title="more heads do not mean more parameters")
def test_multi_parameters(member, expect):
    """n_heads heads of width d_model / n_heads, and c_proj with bias: 4 * 6 * 6 + 6 = 150 numbers for
    d_model = 6.

    Torch finds parameters only in modules that it knows: heads in a plain Python list are never trained,
    and nothing warns you. Four heads do not fit into 6 channels, so that is a ValueError.
    """
    for n_heads in (1, 2, 3):
        multi = member.attention.MultiHeadAttention(6, n_heads)
        count = sum(p.numel() for p in multi.parameters().values())
        expect.equal(count, 150, say=f"The number of parameters with n_heads = {n_heads}.")
    expect.raises(member.attention.MultiHeadAttention, 6, 4, say="4 heads do not divide d_model = 6.")


@check(
    "multi-values",
    title="several heads give the same numbers as torch's",
    needs=["multi-parameters", "head-values"],
)
def test_multi_values(member, expect, rng):
    """The heads' outputs stand side by side, head 0 first, and c_proj mixes them.

    Compared with torch.nn.MultiheadAttention on the same weights, with and without the causal mask.

    Reading: Vaswani et al. 2017, section 3.2.2.
    """
    for causal in (True, False):
        multi = member.attention.MultiHeadAttention(6, 3, causal).double()
        w = rng.fill(multi, MULTI)
        x = rng.normal(2, 5, 6)
        want = run(all_heads(w), x, causal).detach()
        expect.close(multi(x), want, axes=("batch", "query", "channel"), say=f"causal={causal}.")


@check("multi-gradient", title="every matrix of every head is trained", needs=["multi-parameters"])
def test_multi_gradient(member, expect, rng):
    """After one backward pass each parameter must have a gradient, and it must be the right one.

    All gradients are compared with those of torch.nn.MultiheadAttention as one sorted list of numbers, so
    your names and your order do not matter.
    """
    multi = member.attention.MultiHeadAttention(6, 3).double()
    w = rng.fill(multi, MULTI)
    x, g = rng.normal(2, 5, 6), rng.normal(2, 5, 6)
    gradients = member.vjp(multi, x, cotangent=g, params_of=multi).parameters
    missing = [name for name, gradient in gradients.items() if gradient is None]
    expect.equal(missing, [], say="These parameters get no gradient.")
    theirs = all_heads(w)
    (run(theirs, x) * g).sum().backward()
    bias = theirs.in_proj_bias.grad  # torch has biases for q, k and v; this class has none
    want = [p.grad for p in theirs.parameters() if p.grad is not bias]
    expect.close(numbers(gradients.values()), numbers(want), say="All gradients, sorted.")


def numbers(tensors):
    """Everything in these tensors as one sorted row."""
    return torch.cat([t.flatten() for t in tensors]).sort().values
