"""Step `batches`: the held-out end of a text, and random windows of the rest.

N ids, B = batch_size, T = block_size. Where draws are counted, a correct answer fails less than once in a hundred
million checks.
"""

import counting_bench
import torch
from chance import SURE, surprise

from cohort_cli.checking.authoring import check


def numbers(got):
    return got.double() if isinstance(got, torch.Tensor) else got


@check("split-end", title="the end of the text is held out, and nothing is in both parts")
def test_split_end(member, expect, rng):
    """train is the beginning, validation the end, both in their order, and together they are the whole text.
    Neighbouring characters tell of one another, so a shuffled or scattered validation part is half known from
    training.

    validation has validation_share * N ids, rounded up or down. Left out, the share is a tenth.
    """
    for N, share in ((40, 0.25), (101, 0.1), (60, 0.5), (37, 0.2), (100, 0.9), (50, None)):
        ids = rng.permutation(N)
        parts = member.batches.split(ids) if share is None else member.batches.split(ids, share)
        say = f"{N} ids, validation_share={'left out' if share is None else share}."
        two = isinstance(parts, tuple | list) and len(parts) == 2
        expect.that(two, f"{say} split returns two tensors, (train, validation).", got=type(parts).__name__)
        train, validation = parts
        held = len(validation)
        expect.close(numbers(validation), ids[N - held :].double(), axes=("id",), say=f"{say} validation.")
        expect.close(numbers(train), ids[: N - held].double(), axes=("id",), say=f"{say} train.")
        wanted = N * (0.1 if share is None else share)
        expect.that(abs(held - wanted) <= 1, f"{say} So many ids in validation.", got=held, want=wanted)


@check("batch-shift", title="y is x, one place further on")
def test_batch_shift(member, expect, rng):
    """Each row of x is a piece of the text, and y has for each place the id that follows. Here no id comes twice, so the
    first id of a row tells where the row must come from. The shapes are (B, T), and the type is int64.
    """
    for N, B, T in ((30, 4, 7), (12, 6, 3), (9, 5, 1)):
        ids = rng.permutation(N)
        place = torch.argsort(ids)
        got = member.batches.get_batch(ids, B, T, torch.Generator().manual_seed(rng.random.randrange(2**31)))
        say = f"{N} ids, batch_size={B}, block_size={T}."
        two = isinstance(got, tuple | list) and len(got) == 2
        expect.that(two, f"{say} get_batch returns two tensors, (x, y).", got=type(got).__name__)
        x, y = got
        expect.shape(x, (B, T), say=f"{say} The shape of x.")
        expect.shape(y, (B, T), say=f"{say} The shape of y.")
        expect.equal(
            [str(x.dtype), str(y.dtype)], ["torch.int64"] * 2, say=f"{say} The data types of x and y."
        )
        start = place[x[:, 0].clamp(0, N - 1)]
        there = start[:, None] + torch.arange(T + 1)
        follows = torch.where(there < N, ids[there.clamp(max=N - 1)], -1)
        want = torch.stack([follows[:, :-1], follows[:, 1:]]).double()
        say = f"{say} First x, then y; the text is {ids.tolist()}."
        expect.close(torch.stack([x, y]).double(), want, axes=("x, y", "row", "place"), say=say)


@check("batch-starts", title="every window can come, the first and the last one too")
def test_batch_starts(member, expect, rng):
    """N ids have N - T windows of T ids with one more behind them. 3,000 windows are drawn, and it is counted where they
    start; a chi-square test compares with 3,000 / (N - T) each. And where only one window fits, it comes.
    """
    bench = member.bring(counting_bench)
    for N, T in ((11, 5), (16, 4)):
        ids = rng.permutation(N)
        place = torch.argsort(ids)
        x = bench.windows(ids, 20, T, 150, rng.random.randrange(2**31))
        seen = torch.bincount(place[x[:, :, 0].flatten()], minlength=N).double()
        want = torch.zeros(N, dtype=torch.float64)
        want[: N - T] = 3000 / (N - T)
        say = f"{N} ids, block_size={T}: how often a window began at each place, of 3,000."
        expect.that(surprise(seen, want) > SURE, say, got=seen, want=want)
    ids = rng.permutation(6)
    x = bench.windows(ids, 3, 5, 2, 0)
    want = ids[:5].expand(2, 3, 5).double()
    expect.close(
        x.double(), want, axes=("batch", "row", "place"), say="6 ids, block_size=5: one window only."
    )


@check("batch-rows", title="the rows of a batch are drawn independently", needs=["batch-shift"])
def test_batch_rows(member, expect, rng):
    """Two rows of one batch, 2,000 times: with four possible starts there are 16 combinations, all equally likely, the
    four in which both rows are the same too. Rows that hang together make a batch worth less than it costs.
    """
    bench, N, T = member.bring(counting_bench), 9, 5
    ids = rng.permutation(N)
    place = torch.argsort(ids)
    x = bench.windows(ids, 3, T, 2000, rng.random.randrange(2**31))
    starts = place[x[:, :, 0]].clamp(max=N - T - 1)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        seen = torch.bincount(starts[:, a] * (N - T) + starts[:, b], minlength=16).double()
        say = f"How often rows {a} and {b} began at each of 4 x 4 places, in 2,000 batches."
        want = torch.full((16,), 125.0, dtype=torch.float64)
        expect.that(surprise(seen, want) > SURE, say, got=seen.view(4, 4), want=want.view(4, 4))


@check("batch-generator", title="the generator decides, and each batch is a new one", needs=["batch-shift"])
def test_batch_generator(member, expect, rng):
    """The same seed gives the same batches, whatever torch's own random numbers do. The second batch of one generator is
    not the first again, and another seed gives others: 8 windows of 1,000 are not the same by chance.
    """
    bench, ids = member.bring(counting_bench), rng.permutation(1005)
    found = []
    for everywhere, seed in ((1, 5), (2, 5), (3, 6)):
        member.seed(everywhere)
        found.append(bench.windows(ids, 8, 5, 2, seed).double())
    expect.close(found[1], found[0], axes=("batch", "row", "place"), say="Two generators with the same seed.")
    again = torch.equal(found[0][0], found[0][1])
    expect.that(not again, "The second batch is the first one again.", got=found[0][1])
    differs = not torch.equal(found[2], found[0])
    expect.that(differs, "Generators with different seeds gave the same two batches.", got=found[2])
