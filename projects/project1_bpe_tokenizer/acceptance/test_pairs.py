"""Step `pairs`: counting neighbours, and merging one pair."""

from itertools import groupby

from bpe_oracle import joined

from cohort_cli.checking.authoring import check


def numbers(random, length, kinds=3):
    return [random.randrange(1, 1 + kinds) for _ in range(length)]


def merged(ids, pair, new_id):
    """The definition, from left to right."""
    parts = joined([(id,) for id in ids], ((pair[0],), (pair[1],)))
    return [new_id if len(part) == 2 else part[0] for part in parts]


def counts_of(ids):
    result = {}
    for i in range(len(ids) - 1):
        result[ids[i], ids[i + 1]] = result.get((ids[i], ids[i + 1]), 0) + 1
    return result


@check("pairs-counts", title="every pair of neighbours counts")
def test_pairs_counts(member, expect, rng):
    """[1, 2, 3, 1, 2, 3] has (1, 2) and (2, 3) twice, (3, 1) once. The order within a pair matters."""
    several = [id for id, _ in groupby(numbers(rng.random, 60))]  # no two neighbours are the same
    for ids in ([1, 2, 3, 1, 2, 3], (7, 8, 7), [5], [], several):
        got = member.pairs.get_pair_counts(ids)
        expect.equal(got, counts_of(ids), say=f"The pairs of {ids}.")


@check("pairs-overlap", title="pairs that overlap count too", needs=["pairs-counts"])
def test_pairs_overlap(member, expect):
    """[1, 1, 1] has the pair (1, 1) twice: at the places 0 and 1. That is what "neighbours" means.

    `merge` replaces it only once there, so the count is an upper bound; all of the field counts like this.
    """
    for ids in ([1, 1, 1], [2, 1, 1, 1, 1, 2], [1, 2, 1, 2, 1]):
        got = member.pairs.get_pair_counts(ids)
        expect.equal(got, counts_of(ids), say=f"The pairs of {ids}.")


@check("pairs-add", title="counts of several sequences add up", needs=["pairs-counts"])
def test_pairs_add(member, expect, rng):
    """`counts` holds what was counted before. The new counts are added to this dict itself, which comes back.

    Without `counts` every call begins at nothing: a default of `{}` in the signature would be shared by all calls.
    """
    first, second = [1, 2, 1, 2], [1, 2, 3]
    got, (_, after) = member.echo(member.pairs.get_pair_counts, second, counts_of(first))
    want = {(1, 2): 3, (2, 1): 1, (2, 3): 1}
    expect.equal(got, want, say="The pairs of [1, 2, 3], added to those of [1, 2, 1, 2].")
    expect.equal(after, want, say="The dict that was given must hold the sum: add in place.")
    _, (_, after) = member.echo(member.pairs.get_pair_counts, [1, 2], {})
    expect.equal(after, {(1, 2): 1}, say="An empty dict that was given must hold the counts as well.")
    member.pairs.get_pair_counts(first)
    got = member.pairs.get_pair_counts(second)
    expect.equal(got, counts_of(second), say="A second call without `counts` must begin at nothing.")


@check("merge-values", title="each occurrence of the pair becomes the new id")
def test_merge_values(member, expect, rng):
    """merge([5, 6, 6, 7, 9, 1], (6, 7), 99) is [5, 6, 99, 9, 1]. At the beginning, at the end, and in between."""
    for ids, pair in (
        ([5, 6, 6, 7, 9, 1], (6, 7)),
        ([1001, 1002, 3, 1001, 1002], (1001, 1002)),
        ([1, 2, 3], (2, 1)),
        ([1, 2], (1, 2)),
        ([2], (2, 2)),
        ([], (1, 2)),
        (numbers(rng.random, 40), (1, 2)),
    ):
        got = member.pairs.merge(ids, pair, 99)
        expect.equal(got, merged(ids, pair, 99), say=f"merge({ids}, {pair}, 99).")


@check("merge-overlap", title="from left to right, without overlap", needs=["merge-values"])
def test_merge_overlap(member, expect):
    """merge([1, 1, 1], (1, 1), 9) is [9, 1]: the first two are used up. From the right it would be [1, 9].

    Which of the two is a convention, and everybody must have the same one, or the same merges give other ids.
    """
    for ids in ([1, 1, 1], [1, 1, 1, 1], [2, 1, 1, 1, 1, 1, 2]):
        got = member.pairs.merge(ids, (1, 1), 9)
        expect.equal(got, merged(ids, (1, 1), 9), say=f"merge({ids}, (1, 1), 9).")
    got = member.pairs.merge([4, 4, 4, 4], (4, 4), 4)
    expect.equal(got, [4, 4], say="What a merge has made is not merged again in the same call.")


@check("merge-input", title="the input stays as it is", needs=["merge-values"])
def test_merge_input(member, expect):
    """`merge` makes a new list. Training encodes the same text many times; it must not be eaten while it is read."""
    ids = [1, 2, 3, 1, 2]
    _, after = member.echo(member.pairs.merge, ids, (1, 2), 9)
    expect.equal(after[0], ids, say="The list that was given, after the call.")
