import torch

from cohort_cli.checking.authoring import check


@check("total", title="sums along a dimension")
def test_total(member, expect, rng):
    """Adds along one dimension."""
    x = rng.normal(2, 3, 4)
    expect.close(member.sums.total(x, 1), x.sum(1), axes=("batch", "channel"))


@check("unchanged", title="the input is not changed", needs=["total"])
def test_unchanged(member, expect, rng):
    """A function must not write into its input."""
    x = rng.normal(2, 3)
    _, (after, _) = member.echo(member.sums.total, x, 1)
    expect.close(after, x, say="The input was changed.")


@check("normalise", title="rows sum to one")
def test_normalise(member, expect, rng):
    """Like softmax."""
    x = rng.normal(2, 5)
    expect.close(member.sums.normalise(x, -1), torch.softmax(x, -1))


@check("count", title="counts up")
def test_count(member, expect):
    """A generator."""
    expect.equal(list(member.sums.count(3)), [0, 1, 2])
