"""Step `sampling`: drawing one id, and writing with the rows of a table.

V vocabulary size, n characters in a gram. Where draws are counted, a correct answer fails less than once in a hundred
million checks.
"""

import itertools

import counting_bench
import torch
from chance import SURE, surprise

from cohort_cli.checking.authoring import check


def sure(*ids, V):
    """Rows of probabilities that leave no choice: row i has 1 at ids[i]."""
    return torch.nn.functional.one_hot(torch.tensor(ids), V).double()


@check("draw-sure", title="an id with probability 1 always comes, one with 0 never")
def test_draw_sure(member, expect, rng):
    """Probabilities that leave no choice, one after the other: 1 for one id and 0 for all others. Then two ids of six
    with 1/2 each, 300 times: no other may come, and both must. A Python int each time.
    """
    V, seed = 6, rng.random.randrange(2**31)
    got = member.sample.draw(sure(2, V=V)[0], torch.Generator().manual_seed(seed))
    expect.equal(type(got).__name__, "int", say="The type of what draw returns; int(...) makes a Python int.")
    bench = member.bring(counting_bench)
    got = torch.stack([bench.drawn(sure(id, V=V)[0], 5, seed) for id in range(V)])
    want = torch.arange(V)[:, None].expand(V, 5).double()
    expect.close(got.double(), want, axes=("probabilities", "draw"), say="Row i: only id i is possible.")
    pair = sorted(rng.random.sample(range(V), 2))
    probs = torch.zeros(V, dtype=torch.float64)
    probs[pair] = 0.5
    got = bench.drawn(probs, 300, seed)
    seen = sorted(set(got.tolist()))
    say = f"Ids {pair[0]} and {pair[1]} have 1/2 each: these come in 300 draws, and no others."
    expect.that(seen == pair, say, got=got.double())


@check("draw-chance", title="each id comes as often as its probability says", needs=["draw-sure"])
def test_draw_chance(member, expect, rng):
    """6,000 draws from each of two distributions are counted, and the counts compared with 6,000 * probability by a
    chi-square test. Chance alone would fail it once in 1,000,000,000 times. The likeliest id is not the only one.
    """
    bench, N = member.bring(counting_bench), 6000
    base = torch.tensor([0.55, 0.2, 0.12, 0.08, 0.05, 0.0], dtype=torch.float64)
    for _ in range(2):
        probs = base[rng.permutation(6)]
        seen = torch.bincount(bench.drawn(probs, N, rng.random.randrange(2**31)).clamp(0, 6), minlength=7)[:6]
        say = f"How often each id came in {N} draws from {probs.tolist()}."
        expect.that(surprise(seen, N * probs) > SURE, say, got=seen.double(), want=N * probs)


@check("write-context", title="each new id is drawn from the row of the ids before it", needs=["draw-sure"])
def test_write_context(member, expect, rng):
    """Tables that leave no choice, so the whole text is known: after each context only one id is possible. n = 1
    looks at nothing, n = 2 at the last id, n = 3 at the last two, in their order. start may be longer than that.

    The answer is a list: start, then exactly `length` new ids. The caller's start stays as it is.
    """
    V = 5
    ring, after = rng.permutation(V), torch.zeros(V, dtype=torch.int64)
    after[ring] = ring.roll(-1)
    tables = {1: rng.permutation(V)[0], 2: after, 3: rng.integers(0, V, V, V)}
    for n, T, length in ((2, 4, 6), (2, 1, 9), (1, 2, 4), (3, 2, 9), (3, 5, 7), (2, 3, 0), (1, 0, 3)):
        table = tables[n]
        probs = torch.nn.functional.one_hot(table, V).double()
        start = rng.permutation(V)[:T].tolist()
        want = list(start)
        for _ in range(length):
            want.append(int(table[tuple(want[len(want) - n + 1 :])]))
        generator = torch.Generator().manual_seed(rng.random.randrange(2**31))
        got, changed = member.echo(member.sample.generate, probs, start, length, generator)
        expect.equal(type(got).__name__, "list", say="The type of what generate returns.")
        seen = torch.tensor([float(id) for id in got], dtype=torch.float64)
        say = f"n={n}, start={start}, length={length}; the table leaves one text only: {want}."
        expect.close(seen, torch.tensor(want, dtype=torch.float64), axes=("place",), say=say)
        expect.equal(changed[1], start, say="The caller's start after the call.")
    probs = torch.full((V, V, V), 1 / V, dtype=torch.float64)
    say = "n=3 needs two ids before the first new one; start has one: ValueError."
    expect.raises(member.sample.generate, probs, [1], 3, torch.Generator().manual_seed(0), say=say)


@check(
    "write-chance", title="whole texts come as often as they should", needs=["write-context", "draw-chance"]
)
def test_write_chance(member, expect, rng):
    """A bigram table over three characters, and 4,000 texts of three new ones. By the chain rule the probability of each
    of the 27 texts is a product of three numbers of the table; the counts are compared by a chi-square test.
    """
    bench, N = member.bring(counting_bench), 4000
    rows = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.35, 0.45], [0.3, 0.45, 0.25]], dtype=torch.float64)
    rows = rows[rng.permutation(3)][:, rng.permutation(3)]
    start = rng.random.randrange(3)
    want = torch.zeros(3, 3, 3, dtype=torch.float64)
    for a, b, c in itertools.product(range(3), repeat=3):
        want[a, b, c] = N * rows[start, a] * rows[a, b] * rows[b, c]
    got = bench.written(rows, [start], 3, N, rng.random.randrange(2**31))
    expect.shape(got, (N, 3), say="Three new ids in each text.")
    seen = torch.bincount((got * torch.tensor([9, 3, 1])).sum(1), minlength=27).double().view(3, 3, 3)
    for n, what in ((1, "first new ids"), (2, "first two new ids"), (3, "three new ids")):
        counts, right = (table.reshape(3**n, -1).sum(1) for table in (seen, want))
        say = f"How often each text of the {what} came in {N} texts."
        expect.that(surprise(counts, right) > SURE, say, got=counts, want=right)


@check(
    "same-seed", title="the same seed writes the same text, another seed another one", needs=["write-context"]
)
def test_same_seed(member, expect, rng):
    """All chance comes from the generator that is given, so a text can be written again. What torch's and Python's own
    random numbers do must not matter. With another seed, 80 ids over 6 characters are not the same by chance.
    """
    bench = member.bring(counting_bench)
    probs = rng.normal(6, 6, std=0.3).exp()
    probs = probs / probs.sum(1, keepdim=True)
    texts = []
    for everywhere, seed in ((1, 5), (2, 5), (3, 6)):
        member.seed(everywhere)
        texts.append(bench.written(probs, [0], 80, 1, seed)[0].double())
    expect.close(texts[1], texts[0], axes=("place",), say="Two generators with the same seed.")
    differs = not torch.equal(texts[2], texts[0])
    expect.that(differs, "Generators with different seeds wrote the same 80 ids.", got=texts[2])
