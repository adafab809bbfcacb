"""Step `windows`: windows of a row of tokens, random batches of a file, train and validation, joined documents.

N tokens, T = block_size, B = batch_size, n windows.
"""

import itertools

import torch
import windows_bench

from cohort_cli.checking.authoring import check


def row(rng, n):
    """n different ids of 16 bits in no order, some above 32,767: each one tells its place."""
    return rng.permutation(65_536)[:n]


@check("windows-targets", title="the target of a token is the one that follows it")
def test_windows_targets(member, expect, rng):
    """Window i begins at i * stride. Its targets are the same window, moved on by one token: not by none, not by two.

    With tokens 10, 11, 12, 13 and T = 3 the inputs are 10, 11, 12 and the targets 11, 12, 13. Both are (n, T), int64,
    because an embedding takes int64, whatever the tokens came in.
    """
    for N, T, stride in ((14, 4, 3), (11, 3, 1), (13, 2, 5)):
        ids = row(rng, N).to(torch.int32)
        inputs, targets = member.data.token_windows(ids, T, stride)
        starts = range(0, N - T, stride)
        say = f"{N} tokens, T = {T}, stride = {stride}:"
        for what, got, shift in (("inputs", inputs, 0), ("targets", targets, 1)):
            want = torch.stack([ids[s + shift : s + shift + T] for s in starts]).long()
            expect.shape(got[: len(want)], want[: len(got)].shape, say=f"{say} the shape of the {what}.")
            expect.equal(got[0], want[0], say=f"{say} the first window's {what}.")
            expect.equal(got.dtype, torch.int64, say=f"{say} the data type of the {what}.")


@check("windows-all", title="every window that fits is there, the last one too", needs=["windows-targets"])
def test_windows_all(member, expect, rng):
    """A window needs T + 1 tokens. With N = 13, T = 4 and stride 4 the starts are 0, 4 and 8, and the last window uses
    the last token, as its last target. With N = 12 the third window no longer fits.

    stride = T reads each token once; a smaller stride makes windows overlap; a larger one leaves gaps.
    """
    for N, T, stride in ((13, 4, 4), (12, 4, 4), (17, 3, 2), (16, 5, 1), (6, 5, 1), (19, 2, 7), (9, 3, 100)):
        ids = row(rng, N)
        inputs, targets = member.data.token_windows(ids, T, stride)
        starts = list(range(0, N - T, stride))
        say = f"{N} tokens, T = {T}, stride = {stride}: where each window begins."
        place = {int(id): i for i, id in enumerate(ids)}
        expect.equal([place[int(first)] for first in inputs[:, 0]], starts, say=say)
        want = torch.stack([ids[s : s + T + 1] for s in starts])
        expect.equal(inputs, want[:, :-1], say=f"{N} tokens, T = {T}, stride = {stride}: all inputs.")
        expect.equal(targets, want[:, 1:], say=f"{N} tokens, T = {T}, stride = {stride}: all targets.")


@check("windows-refused", title="too few tokens for one window are an error")
def test_windows_refused(member, expect, rng):
    """T tokens are one too few for a window of T with its targets: a ValueError, for windows and for batches.

    So is a stride, a block size or a batch size of 0, and a split that leaves a part empty. An empty result would
    be a training run that does nothing and says nothing.
    """
    windows, ids = member.data.token_windows, row(rng, 5)
    expect.raises(windows, ids, 5, 1, say="5 tokens, T = 5: a ValueError.")
    expect.raises(windows, ids[:0], 5, 1, say="No tokens at all: a ValueError.")
    expect.raises(windows, ids, 3, 0, say="stride = 0: a ValueError.")
    expect.raises(windows, ids, 0, 1, say="T = 0: a ValueError.")
    bench = member.bring(windows_bench)
    expect.raises(bench.draw, ids, 1, 0, 2, 5, say="get_batch of 5 tokens, T = 5: a ValueError.")
    expect.raises(bench.draw, ids, 1, 0, 2, 9, say="get_batch of 5 tokens, T = 9: a ValueError.")
    expect.raises(bench.draw, ids, 1, 0, 0, 3, say="batch_size = 0: a ValueError.")
    expect.raises(bench.draw, ids, 1, 0, 2, 0, say="get_batch with T = 0: a ValueError.")
    for share in (0.0, 1.0, 0.05, -0.5):
        expect.raises(
            bench.split, ids, share, False, say=f"validation_share={share} of 5 tokens: a ValueError."
        )


@check("batch-windows", title="a batch holds windows of the data, with their targets")
def test_batch_windows(member, expect, rng):
    """Each row is T tokens that follow one another in the data, and its targets are the same, moved on by one.

    The ids are uint16, up to 65,535. Read as int16, everything above 32,767 would become negative. The result is int64.
    """
    bench = member.bring(windows_bench)
    ids = row(rng, 60)
    place = {int(id): i for i, id in enumerate(ids)}
    for B, T in ((5, 7), (3, 4)):
        x, y = bench.draw(ids, 1, rng.random.randrange(2**40), B, T)[0]
        say = f"B = {B}, T = {T}:"
        expect.shape(x, (B, T), say=f"{say} the shape of the inputs.")
        expect.shape(y, (B, T), say=f"{say} the shape of the targets.")
        expect.equal([x.dtype, y.dtype], [torch.int64, torch.int64], say=f"{say} the data types.")
        strangers = sorted({int(id) for id in torch.cat([x, y]).flatten()} - set(place))
        signed = bool(strangers) and strangers[-1] < 0
        expect.that(not signed, f"{say} there are negative ids.", got=f"negative ids: {signed}")
        expect.equal(strangers, [], say=f"{say} ids that are not in the data.")
        at = torch.tensor([[place[int(id)] for id in each] for each in x])
        steps = sorted({int(step) for step in at.diff(dim=1).flatten()})
        expect.equal(steps, [1], say=f"{say} from one input to the next, so many places on in the data.")
        ahead = torch.tensor([[place[int(id)] for id in each] for each in y]) - at
        expect.equal(
            sorted({int(step) for step in ahead.flatten()}),
            [1],
            say=f"{say} from an input to its target, so many places on in the data.",
        )


@check("batch-starts", title="every start is equally likely, the last one too", needs=["batch-windows"])
def test_batch_starts(member, expect, rng):
    """12 tokens and T = 5 leave 7 starts, 0 to 6. In 7,000 windows each one comes about 1,000 times, give or take 200.

    The draws do not depend on one another: each start can follow each other one, and be drawn twice in a batch.
    """
    ids = row(rng, 12)
    x, _ = member.bring(windows_bench).draw(ids, 1, rng.random.randrange(2**40), 7_000, 5)[0]
    starts = (x[:, :1] == ids).int().argmax(dim=1)
    count = torch.bincount(starts, minlength=7)
    never = [start for start in range(7) if count[start] == 0]
    expect.equal(never, [], say="Starts that never came, in 7,000 windows.")
    unlikely = [
        start for start in range(7) if abs(int(count[start]) - 1_000) > 200
    ]  # 6.8 standard deviations
    expect.equal(unlikely, [], say="Starts that did not come about as often as the others.")
    pairs = len({(int(a), int(b)) for a, b in itertools.pairwise(starts)})
    expect.equal(pairs, 49, say="How many of the 7 * 7 pairs of one start and the next one came.")


@check("batch-generator", title="the generator alone decides what is drawn", needs=["batch-windows"])
def test_batch_generator(member, expect, rng):
    """The same state of the generator gives the same batch, whatever other random numbers were drawn before.

    It goes on from batch to batch: four batches in a row differ. Setting a seed inside get_batch would draw the same
    windows at every step of a training run. Another seed gives other windows.
    """
    bench = member.bring(windows_bench)
    ids, seed = row(rng, 4_000), rng.random.randrange(2**40)

    def starts(seed, noise):
        return [x[:, 0].tolist() for x, _ in bench.draw(ids, 4, seed, 6, 3, noise=noise)]

    first = starts(seed, 1)
    words = {True: "the same windows", False: "other windows"}
    seen = {
        "different ones among four batches in a row": len({tuple(batch) for batch in first}),
        "the same seed, after other random numbers": words[starts(seed, 2) == first],
        "another seed": words[starts(seed + 1, 1) == first],
    }
    expect.equal(seen, dict(zip(seen, (4, words[True], words[False]), strict=True)))


@check("batch-device", title="the batch is on the device that was asked for", needs=["batch-windows"])
def test_batch_device(member, expect, rng):
    """Inputs and targets are on `device`, given as a word or as a torch.device. The check asks for the device "meta",
    which every machine has: it keeps shapes and no numbers. The generator stays on the CPU.
    """
    bench = member.bring(windows_bench)
    for device in ("meta", "cpu"):
        seen = bench.devices(row(rng, 20), device)
        expect.equal(seen, [device, device], say=f'device="{device}": where inputs and targets are.')


@check("batch-memory", title="a file larger than memory is not read whole", needs=["batch-windows"])
def test_batch_memory(member, expect):
    """The array may be a memory-mapped file of many gigabytes. Only the windows may be read and converted.

    Here the file has 3,000,000 ids, 6 MB; a batch of 4 windows of 16 needs less than 1 kB. Up to 1.5 MB are allowed.
    Converting the whole array first, and cutting windows then, takes 6 MB at least.
    """
    ids = 3_000_000
    peak = member.bring(windows_bench).peak_bytes(member.path("tokens.bin"), ids)
    say = "Memory that was taken at once while one batch was made"
    expect.that(
        peak < ids // 2,
        f"{say}, {peak:,} bytes: it must be less than {ids // 2:,}.",
        got=f"{peak / ids:.0f} bytes for each id of the whole file",
    )


@check("split-tokens", title="train and validation are two pieces, one after the other")
def test_split_tokens(member, expect, rng):
    """The validation part is the last round(N * share) tokens, the training part everything before them.

    Nothing is in both, nothing is lost, nothing is shuffled. A tensor and an array are both welcome.
    """
    bench = member.bring(windows_bench)
    for N, share, n_validation in ((20, 0.1, 2), (23, 0.3, 7), (57, 0.02, 1), (11, 0.6, 7), (100, 0.29, 29)):
        ids = row(rng, N)
        for as_array in (False, True):
            train, validation = bench.split(ids, share, as_array)
            say = f"{N} tokens{' in an array' * as_array}, validation_share={share}:"
            expect.equal(
                [len(train), len(validation)], [N - n_validation, n_validation], say=f"{say} lengths."
            )
            both = len(set(train.tolist()) & set(validation.tolist()))
            expect.equal(both, 0, say=f"{say} how many tokens are in both parts.")
            expect.equal(train.long(), ids[:-n_validation], say=f"{say} the training part.")
            expect.equal(validation.long(), ids[-n_validation:], say=f"{say} the validation part.")


@check("join-documents", title="every document is closed by the separator")
def test_join_documents(member, expect):
    """After each document, the last one too, comes the id of the end of a text. It stands nowhere else.

    The documents come from any iterable, once. The caller's lists must not grow by it.
    """
    documents = [[5, 6, 7], [8], [9, 5], [50_000, 4]]
    want = [5, 6, 7, 0, 8, 0, 9, 5, 0, 50_000, 4, 0]
    joined, after = member.echo(member.data.join_documents, documents, 0)
    expect.equal(plain(joined), want, say="Documents [5, 6, 7], [8], [9, 5] and [50000, 4], separator 0.")
    expect.equal(after[0], documents, say="The caller's documents afterwards.")
    fed = member.data.join_documents(member.feed(documents[:2]), 50_256)
    expect.equal(
        plain(fed), [5, 6, 7, 50_256, 8, 50_256], say="Documents that come one by one, separator 50256."
    )


def plain(ids):
    """A list of Python's whole numbers, whatever holds them."""
    return [int(id) for id in ids]
