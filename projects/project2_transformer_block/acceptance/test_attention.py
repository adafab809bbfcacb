"""Step `attention`: softmax, and scaled dot-product attention without a mask.

B batch, H heads, T_q queries, T_k keys, D = head_dim. All sizes differ, so that a swapped dimension shows.
"""

import math

import torch
import torch.nn.functional as F

from cohort_cli.checking.authoring import check


@check("softmax-by-hand", title="softmax of three numbers, worked out on paper")
def test_softmax_by_hand(member, expect):
    """softmax([0, ln 2, ln 3]): the exponentials are 1, 2 and 3, and their sum is 6.

    So the answer is [1/6, 2/6, 3/6]. If yours differs, do the three steps on paper: exp, sum, divide.
    """
    x = torch.tensor([0.0, math.log(2), math.log(3)], dtype=torch.float64)
    y = member.attention.softmax(x, dim=0)
    expect.close(y, torch.tensor([1 / 6, 2 / 6, 3 / 6], dtype=torch.float64), atol=1e-6, axes=("entry",))


@check("softmax-dim", title="softmax works along the dimension that was asked for", needs=["softmax-by-hand"])
def test_softmax_dim(member, expect, rng):
    """A tensor of three dimensions has three ways to be normalised, and `dim` chooses one of them.

    Along `dim` the numbers add up to 1; along the other dimensions they do not. Compared with
    torch.softmax.
    """
    x = rng.normal(2, 3, 4)
    for dim in (-1, 0, 1, -2):
        y = member.attention.softmax(x, dim=dim)
        expect.close(y, torch.softmax(x, dim), say=f"softmax(x, dim={dim}) of a (2, 3, 4) tensor.")


@check(
    "softmax-large", title="softmax is right for numbers like 10,000 and -10,000", needs=["softmax-by-hand"]
)
def test_softmax_large(member, expect, rng):
    """exp(710) is already infinite in float64, and exp(-750) is 0; inf / inf and 0 / 0 are not numbers.

    Subtracting a number from a whole row does not change its softmax, so choose one for each row that keeps
    exp small. The rows here lie far apart, so one number for all rows together does not help.
    """
    x = rng.normal(4, 3) + torch.tensor([[10_000.0], [-10_000.0], [0.0], [700.0]], dtype=torch.float64)
    x[2] = torch.tensor([0.0, 2000.0, -2000.0])
    x[3, 0] += 100
    expect.close(member.attention.softmax(x, dim=-1), torch.softmax(x, -1), axes=("row", "entry"))


@check("softmax-gradient", title="gradients flow back through softmax", needs=["softmax-dim"])
def test_softmax_gradient(member, expect, rng):
    """Training needs the derivative of every step. `detach`, `no_grad` and `.data` silently cut it off.

    Compared with the gradient of torch.softmax.
    """
    x, g = rng.normal(3, 4), rng.normal(3, 4)
    seen = member.vjp(member.attention.softmax, x, dim=-1, cotangent=g)
    y = x.clone().requires_grad_()
    (want,) = torch.autograd.grad((torch.softmax(y, -1) * g).sum(), y)
    expect.close(seen.inputs[0], want, say="The gradient of softmax with respect to x.")


@check(
    "softmax-keeps", title="softmax leaves its input alone and keeps the data type", needs=["softmax-by-hand"]
)
def test_softmax_keeps(member, expect, rng):
    """`x -= x.max()` writes into the caller's tensor, and the caller still needs it.

    A float32 tensor must give float32, and float64 must give float64.
    """
    for dtype in (torch.float64, torch.float32):
        x = rng.normal(2, 3, dtype=dtype)
        y, (after,) = member.echo(member.attention.softmax, x, dim=-1)
        expect.close(after, x, atol=0.0, say="x itself after the call.")
        expect.equal(str(y.dtype), str(dtype), say="The result has another data type than x.")
        expect.close(y, torch.softmax(x, -1), atol=1e-6 if dtype == torch.float32 else 1e-8)


@check("attention-average", title="queries of zeros get the average of the values")
def test_attention_average(member, expect, rng):
    """A query of zeros has the score 0 with every key, so all T_k weights are 1 / T_k: a plain average.

    The result has one row for each query and as many columns as the values. Any number of leading
    dimensions must work: none, a batch, or a batch of heads.
    """
    for leading in ((), (2,), (2, 3)):
        q, k, v = (
            torch.zeros(*leading, 4, 6, dtype=torch.float64),
            rng.normal(*leading, 5, 6),
            rng.normal(*leading, 5, 7),
        )
        y = member.attention.scaled_dot_product_attention(q, k, v)
        expect.shape(y, (*leading, 4, 7), say="q (..., 4, 6), k (..., 5, 6), v (..., 5, 7).")
        expect.close(y, v.mean(-2, keepdim=True).expand_as(y))


@check(
    "attention-values",
    title="attention gives the same numbers as torch's own",
    needs=["attention-average", "softmax-dim"],
)
def test_attention_values(member, expect, rng):
    """softmax(q @ k^T / sqrt(D)) @ v, with D = 6 and everything else different from 6.

    Why the root: q and k have entries of variance 1, so a sum of D products has variance D. Without the
    division the softmax of a long head is nearly one-hot, and its gradient nearly 0. Compared with
    F.scaled_dot_product_attention.

    Reading: Vaswani et al. 2017, section 3.2.1 and footnote 4.
    """
    q, k, v = rng.normal(2, 3, 4, 6), rng.normal(2, 3, 5, 6), rng.normal(2, 3, 5, 7)
    y = member.attention.scaled_dot_product_attention(q, k, v)
    expect.close(y, F.scaled_dot_product_attention(q, k, v), axes=("batch", "head", "query", "channel"))


@check(
    "attention-large",
    title="scores of 10,000 do not break attention",
    needs=["attention-average", "softmax-large"],
)
def test_attention_large(member, expect, rng):
    """Early in training, or with a bug elsewhere, scores can become very large. The result must stay
    finite.

    Use your own softmax inside attention: it is already safe.
    """
    q, k, v = rng.normal(2, 4, 6, std=100.0), rng.normal(2, 5, 6, std=100.0), rng.normal(2, 5, 7)
    y = member.attention.scaled_dot_product_attention(q, k, v)
    expect.close(y, F.scaled_dot_product_attention(q, k, v), atol=1e-6, axes=("batch", "query", "channel"))


@check("attention-gradient", title="gradients reach queries, keys and values", needs=["attention-values"])
def test_attention_gradient(member, expect, rng):
    """The model learns where to look only if gradients pass through the weights to queries and keys.

    Compared with the gradients of F.scaled_dot_product_attention.
    """
    tensors = [rng.normal(2, 4, 6), rng.normal(2, 5, 6), rng.normal(2, 5, 7)]
    g = rng.normal(2, 4, 7)
    seen = member.vjp(member.attention.scaled_dot_product_attention, *tensors, cotangent=g)
    leaves = [t.clone().requires_grad_() for t in tensors]
    want = torch.autograd.grad((F.scaled_dot_product_attention(*leaves) * g).sum(), leaves)
    for name, got, right in zip(("queries", "keys", "values"), seen.inputs, want, strict=True):
        expect.close(got, right, say=f"The gradient with respect to the {name}.")


@check("attention-dropout", title="dropout acts on the weights, in training only", needs=["attention-values"])
def test_attention_dropout(member, expect, rng):
    """With dropout_p = 0.25 about a quarter of the attention weights become 0; the rest grow by 1 / 0.75.

    The values here are two identity matrices side by side, so the output shows the weights twice. A dropped
    weight is gone from both copies. With training=False nothing is dropped, whatever dropout_p is.

    Reading: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    q, k = rng.normal(40, 6), rng.normal(30, 6)
    v = torch.eye(30, dtype=torch.float64).repeat(1, 2)
    weights = torch.softmax(q @ k.T / math.sqrt(6), -1)
    attention = member.attention.scaled_dot_product_attention
    quiet = attention(q, k, v, dropout_p=0.25, training=False)
    expect.close(quiet, weights.repeat(1, 2), say="With training=False there is no dropout.")

    left, right = attention(q, k, v, dropout_p=0.25, training=True).chunk(2, dim=-1)
    kept = left != 0
    expect.close(left, torch.where(kept, weights / 0.75, 0.0), say="Each weight is 0 or grows by 1 / 0.75.")
    expect.close(right, left, say="A weight that is dropped is dropped for every channel.")
    share = 1 - kept.double().mean().item()
    expect.that(0.15 < share < 0.35, "About a quarter of the weights must be dropped.", got=share, want=0.25)

    batch = attention(q.expand(2, 3, 40, 6), k, v[:, :30], dropout_p=0.25, training=True) != 0
    whole = bool((batch.any(-1) == batch.all(-1)).all())
    say = "Each weight is dropped by itself: here a query loses all of its weights or none."
    expect.that(not whole, say, got="whole rows" if whole else None)
    shared = torch.equal(batch[0], batch[1]) or torch.equal(batch[:, 0], batch[:, 1])
    say = "Each head and each row of the batch draws its own: here two of them lost the same weights."
    expect.that(not shared, say, got="shared" if shared else None)


@check(
    "attention-keeps",
    title="attention leaves its inputs alone and keeps the data type",
    needs=["attention-average"],
)
def test_attention_keeps(member, expect, rng):
    """`q /= 2` or `scores.masked_fill_` on a view can write into the caller's tensors.

    float32 in gives float32 out, so a constant must not turn everything into float64.
    """
    for dtype in (torch.float64, torch.float32):
        tensors = [
            rng.normal(2, 4, 6, dtype=dtype),
            rng.normal(2, 5, 6, dtype=dtype),
            rng.normal(2, 5, 7, dtype=dtype),
        ]
        y, after = member.echo(member.attention.scaled_dot_product_attention, *tensors)
        for name, tensor, seen in zip("qkv", tensors, after, strict=True):
            expect.close(seen, tensor, atol=0.0, say=f"{name} itself after the call.")
        expect.equal(str(y.dtype), str(dtype), say="The result has another data type than q, k and v.")
