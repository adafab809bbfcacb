"""Step `counts`: characters to ids and back, counting grams, and counts to probabilities.

V vocabulary size, N characters, n characters in a gram. Every oracle here is a plain loop.
"""

import itertools

import torch

from cohort_cli.checking.authoring import check

CHARACTERS = "\t\n !,.09AZbdefghklmnorstuwxyzßäé日😀"  # sorted by code point


def numbers(got):
    """A tensor as float64, so that a mistake can be told by its numbers; anything else as it is."""
    return got.double() if isinstance(got, torch.Tensor) else got


def some_text(rng, length):
    """A random text, with a space in front and a line end behind."""
    return " " + "".join(rng.random.choices(CHARACTERS, k=length)) + "\n"


def grams_one_by_one(ids, n, V):
    """How often each gram occurs: (V,) * n."""
    counts = torch.zeros([V] * n, dtype=torch.float64)
    ids = ids.tolist()
    for i in range(len(ids) - n + 1):
        counts[tuple(ids[i : i + n])] += 1
    return counts


@check("vocab", title="the vocabulary holds every character once, sorted")
def test_vocab(member, expect, rng):
    """The ids come from this list, so it must be the same in every run, for every member. A Python set has no fixed
    order; sorted gives it one. Space, line end, capitals and digits are characters like any other.
    """
    inside = list("\t.Abzz" + "".join(rng.random.choices("defgh", k=6)))
    rng.random.shuffle(inside)
    for text in (f" d{''.join(inside)}d\n", some_text(rng, 40), some_text(rng, 200)):
        want = [character for character in CHARACTERS if character in text]
        got = member.ngrams.vocabulary(text)
        loose = isinstance(got, list) and got != want and sorted(map(str, got)) == want
        expect.equal(
            got,
            want,
            say=f"The vocabulary of {text[:30]!r}{'…' * (len(text) > 30)}",
            mistake="as-the-set-comes" if loose else None,
        )


@check("encode", title="each character becomes its place in the vocabulary")
def test_encode(member, expect, rng):
    """The first character of the vocabulary has the id 0. The vocabulary is given to your function, and is another one
    in each run. The ids are a tensor of int64: PyTorch uses such tensors as places in other tensors.

    A character that the vocabulary lacks is an error. Left out or turned into another one, it would change the text.
    """
    for length in (5, 60):
        text = some_text(rng, length)
        vocabulary = sorted(set(text) | set(rng.random.choices(CHARACTERS, k=8)))
        want = torch.tensor([vocabulary.index(character) for character in text], dtype=torch.float64)
        got = member.ngrams.encode(text, vocabulary)
        say = f"{text[:30]!r} with the vocabulary {''.join(vocabulary)!r}."
        expect.close(numbers(got), want, axes=("character",), say=say)
        expect.equal(str(got.dtype), "torch.int64", say="The data type of the ids.")
    expect.raises(
        member.ngrams.encode,
        "abcab",
        ["a", "b"],
        kinds=("KeyError", "ValueError"),
        say="'c' is not in the vocabulary ['a', 'b']: KeyError or ValueError.",
        mistake="unknown-character-accepted",
    )


@check("decode", title="decode gives the text back", needs=["encode"])
def test_decode(member, expect, rng):
    """Each id becomes the character at its place in the vocabulary. Nothing else happens to the text: the space in front
    and the line end behind stay. The ids may be a tensor, as encode gives it, or a list of Python's numbers.
    """
    text = some_text(rng, 30)
    vocabulary = sorted(set(text))
    ids = torch.tensor([vocabulary.index(character) for character in text])
    expect.equal(member.ngrams.decode(ids, vocabulary), text, say="The ids as a tensor.")
    expect.equal(member.ngrams.decode(ids.tolist(), vocabulary), text, say="The ids as a list.")
    got = member.ngrams.decode(member.ngrams.encode(text, vocabulary), vocabulary)
    expect.equal(got, text, say="decode(encode(text)).")


@check("count-grams", title="characters, pairs and triples are counted")
def test_count_grams(member, expect, rng):
    """counts[a, b] says how often b comes directly after a. Grams overlap: "aaa" holds the pair "aa" twice. N ids hold
    N - n + 1 grams; the last id is not followed by the first. Compared with a plain loop, for n = 1, 2 and 3.
    """
    for V, N in ((3, 9), (5, 60)):
        ids = rng.integers(0, V - 1, N)
        ids[:3] = torch.tensor([0, 0, 0])
        ids[-1] = 2
        for n in (1, 2, 3):
            got = member.ngrams.count(ids, n, V)
            axes = ("first", "second", "third")[:n]
            say = f"n={n}, ids {ids[:12].tolist()}{' …' * (N > 12)}, counts of shape {(V,) * n}."
            expect.close(numbers(got), grams_one_by_one(ids, n, V), axes=axes, say=say)


@check(
    "count-book",
    title="420,000 characters are counted, some pairs more than 65,536 times",
    needs=["count-grams"],
)
def test_count_book(member, expect, rng):
    """As many ids as the text of this unit has to learn from. One pair comes very often, as spaces do in tables. A plain
    loop is fast enough. Counts need a type with room: one byte ends at 255, int16 at 32,767, float16 counts to 2,048.
    """
    V, N = 90, 420_000
    ids = rng.integers(0, V, N)
    ids[: N // 3] = 7
    pairs = torch.bincount(ids[:-1] * V + ids[1:], minlength=V * V).view(V, V).double()
    expect.close(numbers(member.ngrams.count(ids, 2, V)), pairs, axes=("first", "second"), say="n=2.")


@check("add-alpha", title="alpha is added to every count, and each row then adds up to 1")
def test_add_alpha(member, expect, rng):
    """(count + alpha) / (sum of the row + alpha * V), worked out entry by entry. A row is the last dimension: what can
    come after one context. A pair that was never seen gets a little, and an unseen context gives each character 1 / V.
    """
    V = 4
    for alpha in (1.0, 0.1, 2.5):
        for n in (2, 1, 3):
            counts = rng.integers(0, 9, *[V] * n)
            counts.view(-1, V)[0, 1:3] = 0
            if n > 1:
                counts.view(-1, V)[1] = 0
            want = torch.zeros([V] * n, dtype=torch.float64)
            for place in itertools.product(range(V), repeat=n):
                row = [int(counts[(*place[:-1], last)]) for last in range(V)]
                want[place] = (row[place[-1]] + alpha) / (sum(row) + alpha * V)
            got = member.ngrams.probabilities(counts, alpha)
            axes = ("first", "second", "third")[:n]
            expect.close(
                got, want, atol=1e-6, axes=axes, say=f"n={n}, alpha={alpha}, counts {counts.tolist()}."
            )
            expect.equal(str(got.dtype), "torch.float64", say="The data type of the probabilities.")
    counts = rng.integers(1, 9, V, V)
    want = counts.double() / counts.sum(1, keepdim=True)
    expect.close(member.ngrams.probabilities(counts, 0.0), want, atol=1e-8, say="alpha=0: the plain shares.")
