"""Step `train`: merges from a whole text, and the rule for ties."""

from bpe_oracle import learn, some_text

from cohort_cli.checking.authoring import check


def of_text(text, n_merges):
    return learn({text.encode(): 1}, n_merges) if text else []


def without_ties(random, n_merges):
    """A text, and its first merges, at none of which two pairs are equally frequent."""
    while True:
        text = some_text(random, "aabcd ", 70)
        highest, lowest = (learn({text.encode(): 1}, n_merges, prefer) for prefer in (max, min))
        if highest == lowest:
            return text, highest


@check(
    "train-example",
    title="the pair that occurs most often comes first",
    needs=["pairs-counts", "merge-values"],
)
def test_train_example(member, expect, rng):
    """Count the pairs, merge the most frequent one everywhere, count again. Each merge is a pair of bytes objects.

    In these texts no two pairs are equally frequent, as long as it matters.
    """
    for n_merges in (1, 3, 4):
        text, want = without_ties(rng.random, n_merges)
        got = member.pairs.learn_merges(text, n_merges)
        expect.merges(got, want, say=f"{n_merges} merges of {text!r}.")


@check("train-ties", title="of equal pairs the greatest wins", needs=["train-example"])
def test_train_ties(member, expect, rng):
    """Pairs are compared as pairs of bytes, the left parts first: (b"b", b"a") > (b"a", b"z") > (b"a", b"b").

    Not the first that was seen, not the larger id, not the joined bytes, not GPT-2's printable characters, in which
    a space is greater than every letter. Only one rule for all makes vocabularies comparable. "aaabdaaabac" is the
    example of Wikipedia's page.
    """
    texts = ["she sells sea shells by the sea shore, and ~ shells he sees", "aaabdaaabac"]
    texts += [some_text(rng.random, "abc .~", 60) for _ in range(3)]
    for text in texts:
        got = member.pairs.learn_merges(text, 12)
        expect.merges(got, of_text(text, 12), say=f"The merges of {text!r}.")


@check("train-random", title="the same merges as by the definition", needs=["train-ties", "merge-overlap"])
def test_train_random(member, expect, rng):
    """Random texts over few letters, with long runs and letters of several bytes: merges may end inside of a letter."""
    for letters, length in (("ab", 50), ("a", 33), ("xyzé€ ", 80), ("aé😀", 60)):
        text = some_text(rng.random, letters, length)
        got = member.pairs.learn_merges(text, 20)
        expect.merges(got, of_text(text, 20), say=f"The merges of {text!r}.")


@check("train-end", title="it ends when no pair is left", needs=["train-example"])
def test_train_end(member, expect):
    """A short text has few merges: "abc" is one token after two. Then the list is shorter than was asked for.

    Pairs that occur once are merged as well. Nothing to merge gives an empty list.
    """
    for text, n_merges in (("abc", 50), ("abab", 50), ("hello world", 50), ("a", 5), ("", 5), ("abcabc", 0)):
        got = member.pairs.learn_merges(text, n_merges)
        expect.merges(got, of_text(text, n_merges), say=f"{n_merges} merges of {text!r}.")
