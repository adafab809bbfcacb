"""Step `mask`: the causal mask, and attention that obeys a mask. True: this query may attend to this key.

B batch, H heads, T_q queries, T_k keys, D = head_dim.
"""

import torch
import torch.nn.functional as F

from cohort_cli.checking.authoring import check


def some_mask(rng, *shape):
    """A random mask in which every query may attend to something."""
    mask = rng.normal(*shape) > 0
    return mask | F.one_hot(rng.integers(0, shape[-1], *shape[:-1]), shape[-1]).bool()


@check("mask-values", title="the causal mask of four tokens")
def test_mask_values(member, expect):
    """Row = query, column = key. A token attends to itself and to earlier tokens: the lower triangle is
    True.

    Without the diagonal the first token would have nothing to attend to. The mask holds truth values
    (bool), and it must work for any length.
    """
    mask = member.attention.causal_mask(4)
    want = torch.tensor(
        [
            [True, False, False, False],
            [True, True, False, False],
            [True, True, True, False],
            [True, True, True, True],
        ]
    )
    expect.equal(str(mask.dtype), "torch.bool", say="The mask must hold truth values.")
    expect.shape(mask, (4, 4))
    expect.equal(mask, want)
    for T in (1, 7):
        mask = member.attention.causal_mask(T)
        want = torch.tensor([[key <= query for key in range(T)] for query in range(T)])
        expect.shape(mask, (T, T))
        expect.equal(mask, want, say=f"The mask of {T} tokens.")


@check("masked-values", title="attention looks only where the mask is True", needs=["attention-values"])
def test_masked_values(member, expect, rng):
    """Hidden keys get the weight 0, and the weights of the others add up to 1.

    So hide the scores before softmax, with minus infinity: exp(-inf) = 0. A random mask and T_q = T_k = 5,
    so that a transposed mask shows in the numbers. Compared with F.scaled_dot_product_attention.
    """
    q, k, v, mask = rng.normal(2, 5, 6), rng.normal(2, 5, 6), rng.normal(2, 5, 7), some_mask(rng, 5, 5)
    y = member.attention.scaled_dot_product_attention(q, k, v, mask)
    expect.close(y, F.scaled_dot_product_attention(q, k, v, mask), axes=("batch", "query", "channel"))


@check("masked-sum", title="the weights still add up to 1 under a mask", needs=["attention-values"])
def test_masked_sum(member, expect, rng):
    """If every value is 1, a weighted average is 1. This fails when the mask is applied after softmax.

    That mistake is dangerous: training works, and the reported loss even looks better, because the sum that
    is missing tells each token how much the hidden future would have mattered.
    """
    q, k, v = rng.normal(2, 5, 6), rng.normal(2, 5, 6), torch.ones(2, 5, 1, dtype=torch.float64)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    y = member.attention.scaled_dot_product_attention(q, k, v, mask)
    expect.close(
        y, torch.ones_like(y), axes=("batch", "query", "channel"), say="The sum of each query's weights."
    )


@check(
    "masked-cannot-win",
    title="a hidden key never wins, however large the scores",
    needs=["attention-average"],
)
def test_masked_cannot_win(member, expect):
    """A hidden score of -20 or -10,000 instead of minus infinity works, until the scores that may be seen
    are lower.

    Three keys, the third is hidden. The first query has the scores -100,000, -100,001 and +100,000, the
    second a thousandth of that. The answer is the softmax of the first two scores.
    """
    q = torch.tensor([[1.0], [0.001]], dtype=torch.float64)
    k = torch.tensor([[-100_000.0], [-100_001.0], [100_000.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False]])
    y = member.attention.scaled_dot_product_attention(q, k, torch.eye(3, dtype=torch.float64), mask)
    first = torch.sigmoid(q)
    want = torch.cat([first, 1 - first, 0 * first], dim=1)
    expect.close(y, want, axes=("query", "key"), say="The weights of the three keys.")


@check(
    "masked-shapes",
    title="one mask for all, or one for each row of the batch",
    needs=["attention-average", "softmax-dim"],
)
def test_masked_shapes(member, expect, rng):
    """The mask follows torch's broadcasting: (T_q, T_k) for everyone, (B, 1, T_q, T_k) for each row of the
    batch, (B, 1, 1, T_k) to hide padding: keys that no query of this row may attend to.
    """
    q, k, v = rng.normal(2, 3, 4, 6), rng.normal(2, 3, 5, 6), rng.normal(2, 3, 5, 7)
    for shape in ((4, 5), (2, 1, 4, 5), (2, 1, 1, 5)):
        mask = some_mask(rng, *shape)
        y = member.attention.scaled_dot_product_attention(q, k, v, mask)
        want = F.scaled_dot_product_attention(q, k, v, mask)
        expect.close(y, want, axes=("batch", "head", "query", "channel"), say=f"A mask of shape {shape}.")


@check("masked-nothing", title="a query with nothing to attend to gets zeros", needs=["attention-average"])
def test_masked_nothing(member, expect, rng):
    """Padding can hide every key from a query. Softmax of a row of minus infinities is 0 / 0, not a number.

    One such row spoils the loss and every gradient. It must give zeros and a gradient of zeros, as in
    torch; the other rows must not notice.
    """
    q, k, v, g = rng.normal(2, 4, 6), rng.normal(2, 5, 6), rng.normal(2, 5, 7), rng.normal(2, 4, 7)
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[2] = False
    mask[0, 1:] = False
    seen = member.vjp(member.attention.scaled_dot_product_attention, q, k, v, mask, cotangent=g)
    leaves = [t.clone().requires_grad_() for t in (q, k, v)]
    attended = F.scaled_dot_product_attention(leaves[0][:, [0, 1, 3]], *leaves[1:], mask[[0, 1, 3]])
    want = torch.zeros(2, 4, 7, dtype=torch.float64).index_copy(1, torch.tensor([0, 1, 3]), attended)
    expect.close(
        seen.output, want.detach(), axes=("batch", "query", "channel"), say="Query 2 may attend to nothing."
    )
    for name, got, right in zip(
        ("queries", "keys", "values"),
        seen.inputs,
        torch.autograd.grad((want * g).sum(), leaves),
        strict=False,
    ):
        expect.close(
            got, right, say=f"The gradient with respect to the {name}; query 2 may attend to nothing."
        )
