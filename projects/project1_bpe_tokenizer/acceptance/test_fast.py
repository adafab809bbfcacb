"""Step `fast`: the same merges, in a fraction of the time."""

import time
from itertools import pairwise

from bpe_oracle import counted, english, learn

from cohort_cli.checking.authoring import check

WORDS, MERGES = 2500, 400  # of the timed run
AT_LEAST = 2  # times faster than counting everything anew for each merge


def some_words(random, letters, kinds, longest):
    return {
        "".join(random.choice(letters) for _ in range(random.randint(1, longest))).encode(): random.randint(
            1, 9
        )
        for _ in range(kinds)
    }


@check("fast-example", title="the example of the step words", needs=["words-merges"])
def test_fast_example(member, expect):
    """low 5 times, lower 2, widest 3, newest 6: the same merges, in the same order, as by counting everything anew."""
    toy = {b"low": 5, b"lower": 2, b"widest": 3, b"newest": 6}
    expect.merges(
        member.fast.learn_merges(toy, 6), learn(toy, 6), say="The merges of low, lower, widest, newest."
    )


@check("fast-same", title="the same merges as by counting anew", needs=["fast-example"])
def test_fast_same(member, expect, rng):
    """Twenty small corpora, each until no pair is left.

    Where a count is not kept up to date, some merge comes too early or too late; the difference shows at which.
    """
    for letters, kinds, longest in (("abc", 12, 8), ("ab", 8, 9), ("abcdef", 20, 6), ("aé", 6, 7)) * 5:
        words = some_words(rng.random, letters, kinds, longest)
        got = member.fast.learn_merges(words, 60)
        expect.merges(got, learn(words, 60), say=f"The merges of {words}.")


@check("fast-runs", title="runs of one letter", needs=["fast-example"])
def test_fast_runs(member, expect, rng):
    """In "aaaaa" the pair (a, a) overlaps itself, and after a merge so does (aa, aa).

    Neighbours that were merged in the same word must not be counted with what stood there before.
    """
    fixed = {b"ab" * 60 + b"c": 1, b"aaaaa": 3, b"aa": 2, b"baaaab": 2, b"ababab": 4, b"bababa": 1}
    for words in (fixed, some_words(rng.random, "aaab", 8, 14), some_words(rng.random, "aab", 8, 14)):
        got = member.fast.learn_merges(words, 40)
        expect.merges(got, learn(words, 40), say=f"The merges of {words}.")


@check("fast-end", title="it ends when no pair is left", needs=["fast-example"])
def test_fast_end(member, expect):
    """More merges asked for than there are; none asked for; no words; words of a single byte."""
    for words, n_merges in (({b"abc": 2}, 99), ({b"ab": 1, b"cd": 1}, 0), ({}, 9), ({b"a": 5, b"b": 1}, 9)):
        got = member.fast.learn_merges(words, n_merges)
        expect.merges(got, learn(words, n_merges), say=f"{n_merges} merges of {words}.")


@check("fast-input", title="the words stay as they are", needs=["fast-example"])
def test_fast_input(member, expect):
    """The caller may need the counts again, for another size of the vocabulary: do not empty or change the dict."""
    words = {b"abab": 2, b"ba": 3}
    _, after = member.echo(member.fast.learn_merges, words, 5)
    expect.equal(after[0], words, say="The dict that was given, after the call.")


@check("fast-speed", title="far faster than counting anew", needs=["fast-same"])
def test_fast_speed(member, expect, rng):
    """400 merges of some 2,500 words, in CPU time, against 400 times the time that one count of all their pairs takes.

    The one count is measured here, just before, on the same words. Twice as fast is enough to pass; a table of where
    each pair occurs gives about thirty times.
    """
    words = some_words(rng.random, "etaoinshrdlucmfw", WORDS, 9)
    split = [list(word) for word in words]
    started = time.process_time()
    for _ in range(3):
        counts = {}
        for ids, times in zip(split, words.values(), strict=True):
            for pair in pairwise(ids):
                counts[pair] = counts.get(pair, 0) + times
    one_count = (time.process_time() - started) / 3
    before = member.cpu_seconds()
    got = member.fast.learn_merges(words, MERGES)
    used = member.cpu_seconds() - before
    expect.equal(len(got), MERGES, say="The number of merges.")
    fast_enough = used < MERGES * one_count / AT_LEAST
    expect.that(
        fast_enough,
        f"It used {used:.1f} s; counting all pairs anew {MERGES} times takes {MERGES * one_count:.1f} s. "
        "Count again only what a merge changes.",
        got="slow",
    )


@check("fast-count", title="counting words, special tokens cut out", needs=["words-count", "special-split"])
def test_fast_count(member, expect, rng):
    """As words.count_words, after the special tokens were cut out. Texts stay whole: no word is cut where a batch
    ends.

    One process here (workers=1): a check may not start others.
    """
    texts = [english(rng.random, 30) for _ in range(5)] + ["ca<|endoftext|>ts", "one two" * 3]
    want = {}
    for part in [part for text in texts for part in text.split("<|endoftext|>")]:
        for word, count in counted(part).items():
            want[word] = want.get(word, 0) + count
    got = member.fast.count_words(texts, special_tokens=["<|endoftext|>"], workers=1)
    expect.equal(got, want, say="The words of seven texts.")
    got = member.fast.count_words(texts, special_tokens=[], workers=1)
    expect.equal(
        got.get(b"endoftext"), 1, say='How often the word "endoftext" occurs when nothing is cut out.'
    )
    got = member.fast.count_words(member.feed(["a b", "<a>bc"]), None, ["<a>", "<a>b"], workers=1)
    expect.equal(got, {b"a b": 1, b"c": 1}, say="Without a pattern, cut at <a> and <a>b.")
