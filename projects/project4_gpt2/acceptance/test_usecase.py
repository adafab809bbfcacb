"""Step `usecase`: F1 over classes, a comparison with a baseline, repetition and copying, and the card.

Small cases are counted by hand, larger ones in the slowest and plainest way: every split, every run.
"""

import itertools
import math

import usecase_toys

from cohort_cli.checking.authoring import check

SECTIONS = ("Intended use", "Training data and licence", "Evaluation", "Limits", "How it was made")


def number(expect, got, want, say):
    """A number, exact but for rounding."""
    kind = type(got).__name__
    expect.that(kind in ("float", "int"), f"{say} A number is needed here.", got=kind)
    expect.that(abs(got - want) < 1e-9, say, got=float(got), want=want)


@check("usecase-f1", title="every class counts the same, however rare it is")
def test_usecase_f1(member, expect, rng):
    """Of 10 letters 8 are mail and 2 are spam. "Always mail" is right 8 times in 10, but its F1 is 16/18 for mail and
    0 for spam: 4/9 on average.

    Each class has an F1 of its own, from its true positives, false positives and false negatives; then comes the plain
    mean. A label that was predicted but never occurs is no class: it costs the class that it should have been.
    """
    f1 = member.usecase.macro_f1
    # a: 2 hits, 2 missed, 1 false alarm: 4/7. b: 2 hits, 1 missed, 1 false alarm: 4/6.
    number(expect, f1([*"aabcbab"], [*"aaaabbb"]), 13 / 21, say="a a a a b b b, taken for a a b c b a b.")
    mail = ["mail"] * 8 + ["spam"] * 2
    number(expect, f1(["mail"] * 10, mail), 4 / 9, say='"Always mail", 8 mails and 2 spams.')
    number(expect, f1(["spam"] * 2 + ["mail"] * 6 + ["spam"] * 2, mail), 16 / 21, say="Two false alarms.")
    # a: 2 hits, 1 missed; b: 1 hit, 1 false; never seen: "c"
    number(
        expect, f1(["a", "a", "c", "b", "b"], ["a", "a", "a", "b", "b"]), 0.9, say='A "c" that never occurs.'
    )
    number(
        expect, f1([2, 1, 2, 2], [1, 1, 2, 3]), 7 / 18, say="Labels that are numbers; one is never predicted."
    )
    number(expect, f1(["a", "b"], ["a", "b"]), 1.0, say="All right.")
    number(expect, f1([True, True], [False, False]), 0.0, say="All wrong.")
    actual = [int(a) for a in rng.integers(0, 4, 60)]
    predicted = [int(p) for p in rng.integers(0, 5, 60)]
    want = [
        # F1 is also the harmonic mean of precision and recall.
        2 / (predicted.count(label) / hits + actual.count(label) / hits)
        if (hits := sum(a == p == label for a, p in zip(actual, predicted, strict=True)))
        else 0.0
        for label in sorted(set(actual))
    ]
    number(expect, f1(predicted, actual), sum(want) / len(want), say="60 random items of 4 classes.")
    for a, b in (([], []), ([1, 2], [1]), ([1], [1, 2])):
        expect.raises(f1, a, b, say=f"{len(a)} predictions for {len(b)} items: a ValueError.")


@check("usecase-baseline", title="the difference to a baseline, and its standard error")
def test_usecase_baseline(member, expect, rng):
    """Both answered the same items, so only those count on which they part: n10 that only mine got right, n01 that only
    the baseline got right.

    The difference is (n10 - n01) / n. Its error bar is that of pairs, sqrt(n10 + n01 - (n10 - n01)^2 / n) / n: the
    standard deviation of the differences 1, 0 and -1, over sqrt(n). The formula for two separate groups of items is
    another one, and here too large.
    """
    for counts in ((5, 2, 1, 3), (1, 7, 3, 2), (4, 0, 0, 3), (0, 3, 0, 0), (0, 2, 2, 1)):
        mine, baseline = answers(counts)
        rng.random.shuffle(order := list(range(len(mine))))
        mine, baseline = [mine[i] for i in order], [baseline[i] for i in order]
        differences = [m - b for m, b in zip(mine, baseline, strict=True)]
        mean = sum(differences) / len(mine)
        deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / len(mine))
        got = member.usecase.compare_with_baseline(mine, baseline)
        words = "Both right {}, only mine {}, only the baseline {}, both wrong {}".format(*counts)
        names = sorted(got) if isinstance(got, dict) else type(got).__name__
        expect.equal(names, ["difference", "p_value", "standard_error"], say="The names in the result.")
        number(expect, got["difference"], mean, say=f"{words}: difference.")
        number(
            expect, got["standard_error"], deviation / math.sqrt(len(mine)), say=f"{words}: standard_error."
        )
    for a, b in (([], []), ([True], [True, False]), ([True, False], [True])):
        expect.raises(
            member.usecase.compare_with_baseline, a, b, say=f"{len(a)} and {len(b)} answers: a ValueError."
        )


def answers(counts):
    """(mine, baseline) for these numbers of: both right, only mine, only the baseline, both wrong."""
    pairs = [(True, True), (True, False), (False, True), (False, False)]
    items = [pair for pair, times in zip(pairs, counts, strict=True) for _ in range(times)]
    return [m for m, _ in items], [b for _, b in items]


@check("usecase-luck", title="how often luck alone would part them so far", needs=["usecase-baseline"])
def test_usecase_luck(member, expect, rng):
    """If both were equally good, each item on which they part would be a toss of a coin. Here all 2^n results of the n
    tosses are gone through: how many are at least as uneven, to either side?

    Seven against one: 2 (1 + 8) / 256 = 0.070. Never above 1, and 1 if they part on no item. Items on which both are
    right, or both wrong, say nothing. The approximation by chi-squared is not exact for so few.
    """
    splits = [(7, 1), (1, 7), (5, 0), (3, 3), (4, 5), (0, 0), (1, 0), (9, 3)]
    for only_mine, only_theirs in splits:
        both, neither = rng.random.randrange(1, 9), rng.random.randrange(1, 9)
        got = member.usecase.compare_with_baseline(*answers((both, only_mine, only_theirs, neither)))
        tosses = only_mine + only_theirs
        uneven = abs(only_mine - only_theirs)
        results = itertools.product((1, -1), repeat=tosses)
        want = sum(abs(sum(result)) >= uneven for result in results) / 2**tosses
        number(expect, got["p_value"], want, say=f"p_value for {only_mine} against {only_theirs}.")


@check("usecase-distinct", title="distinct n-grams, over all samples together")
def test_usecase_distinct(member, expect, rng):
    """ "a b a b" has three pairs, ab, ba, ab, of which two are different: 2/3. Two samples that say the same are a
    repetition too, so all n-grams go into one pot. But no n-gram reaches from one sample into the next.

    Without any n-gram, as in samples that are too short, it is 0.
    """
    distinct = member.usecase.distinct_n
    number(expect, distinct([list("abab")], 2), 2 / 3, say="Pairs of a b a b.")
    number(expect, distinct(["abab", "abab"], 2), 2 / 6, say="The same twice.")
    number(expect, distinct([[1, 2, 3], [4, 5], [6]], 2), 1.0, say="Pairs of 1 2 3, of 4 5, and of 6.")
    number(expect, distinct([[1, 1, 1, 1]], 1), 1 / 4, say="Single tokens of 1 1 1 1.")
    number(expect, distinct([[1, 2], [3]], 3), 0.0, say="Threes, where no sample has three tokens.")
    number(expect, distinct([], 2), 0.0, say="No samples.")
    number(expect, distinct([[7, 8, 9]], 3), 1.0, say="A sample of three tokens has one three.")
    samples = [[int(t) for t in rng.integers(0, 3, length)] for length in (12, 2, 9)]
    for n in (1, 2, 3):
        grams = ["".join(map(str, sample))[i:][:n] for sample in samples for i in range(len(sample) + 1 - n)]
        number(expect, distinct(samples, n), len(set(grams)) / len(grams), say=f"n = {n}, random samples.")


@check("usecase-copy", title="the longest run that stands in the training text")
def test_usecase_copy(member, expect, rng):
    """A model that has learned its text by heart writes long pieces of it. The run must be without gaps, in both.

    Tokens are compared, not digits: 1, 2 is not in 12. 0 if nothing is shared, or if one of the two is empty.
    """
    copy = member.usecase.longest_copy
    training = [3, 1, 4, 1, 5, 9, 2, 6]
    cases = [
        ([9, 9, 4, 1, 5, 9, 7], 4, "4 1 5 9 is shared"),
        ([3, 1, 7, 4, 1, 5], 3, "3 1 and 4 1 5, with a stranger between"),
        ([3, 4, 5, 2], 1, "every second token"),
        ([6, 2, 9, 5], 1, "backwards"),
        ([1, 5, 9, 2, 6], 5, "the end of the text"),
        ([0, 3, 1], 2, "the beginning of the text"),
        (training, 8, "the whole text"),
        ([*training, 3, 1, 4], 8, "the whole text, and again from its beginning"),
        ([7, 8], 0, "nothing is shared"),
        ([], 0, "an empty sample"),
    ]
    for sample, want, words in cases:
        expect.equal(copy(sample, training), want, say=f"{words}: {sample} in {training}.")
    expect.equal(copy([1, 2], []), 0, say="An empty training text.")
    expect.equal(copy([1, 2, 3], [12, 3]), 1, say="1 2 3 in 12 3.")
    expect.equal(copy([1, 1, 1], [1, 1, 2, 1]), 2, say="1 1 1 in 1 1 2 1.")
    for _ in range(6):
        sample, text = ([int(t) for t in rng.integers(0, 3, length)] for length in (14, 40))
        runs = [sample[i:j] for i in range(14) for j in range(i + 1, 15)]
        found = [len(run) for run in runs if any(text[k : k + len(run)] == run for k in range(40))]
        expect.equal(copy(sample, text), max(found), say=f"{sample} in {text}.")


def new_sections(rng):
    """The five sections and two more, in another order, each with a text of its own."""
    names = [*SECTIONS, "Contact", "Thanks"]
    rng.random.shuffle(names)
    return {name: f"What {name} says, {rng.random.randrange(1000)}.\n\nA second paragraph." for name in names}


def cut(card):
    """A card, as [(its headings' level, name, lines below)]."""
    parts = []
    for line in card.splitlines():
        if line.startswith("#"):
            marks, _, name = line.partition(" ")
            parts.append((len(marks), name.strip(), []))
        elif parts:
            parts[-1][2].append(line.strip())
    return parts


@check("usecase-card", title="a card with a title and all sections, in their order")
def test_usecase_card(member, expect, rng):
    """A reader who knows one card finds everything in the next: "# title", then "## Intended use" and the other four in
    the order of SECTIONS, then whatever else you wrote about.

    Each text stands whole under its heading. Under Evaluation each metric has a line beside its baseline, because a
    number alone says nothing: "accuracy: 0.812 (baseline: 0.640)".
    """
    sections = new_sections(rng)
    metrics = {"macro F1": (0.81249, 0.6), "bits per byte": (1.2, 12.0), "Δ": (-0.0406, 3.14159)}
    card = member.usecase.model_card("Poems in prose", sections, metrics)
    kind = type(card).__name__
    expect.equal(kind, "str", say="The card is one text.")
    parts = cut(card)
    headings = [("#" * level) + " " + name for level, name, _ in parts]
    first = ["# Poems in prose", *(f"## {name}" for name in SECTIONS)]
    expect.equal(headings[:6], first, say="The first six headings.")
    others = sorted(f"## {name}" for name in ("Contact", "Thanks"))
    expect.equal(sorted(headings[6:]), others, say="The headings after them, sorted.")
    for _, name, lines in parts[1:]:
        below = "\n".join(lines)
        expect.that(
            sections[name] in below, f"Its text must stand under {name}.", got=below, want=sections[name]
        )
    lines = [line.lstrip("-*+ ") for line in parts[3][2]]
    for want in (
        "macro F1: 0.812 (baseline: 0.600)",
        "bits per byte: 1.200 (baseline: 12.000)",
        "Δ: -0.041 (baseline: 3.142)",
    ):
        expect.that(want in lines, "The line of a metric under Evaluation is missing.", got=lines, want=want)


@check(
    "usecase-card-gaps", title="a card with a gap is refused, and the gap is named", needs=["usecase-card"]
)
def test_usecase_card_gaps(member, expect, rng):
    """Each of the five sections in turn is left out, is empty, or has nothing but blanks and line ends: a ValueError
    with the section's name in it. Without any metric there is no evaluation: a ValueError too.

    The card is where you tell others what your model must not be used for; a card without its Limits is no card.
    """
    toys = member.bring(usecase_toys)
    card = member.get(member.usecase.model_card, "")
    metrics = {"accuracy": (0.5, 0.25)}
    for name in SECTIONS:
        for words, value in (("is not there", None), ("is empty", ""), ("has blanks alone", " \n\t\n")):
            sections = new_sections(rng)
            del sections[name]
            if value is not None:
                sections[name] = value
            kinds, message = toys.error_of(card, "T", sections, metrics)
            say = f"{name} {words}: a ValueError is needed."
            expect.that("ValueError" in kinds, say, got=kinds[0] if kinds else "no error")
            say = f"{name} {words}: the message must name it."
            expect.that(name in message, say, got=message)
    kinds, _ = toys.error_of(card, "T", new_sections(rng), {})
    got = kinds[0] if kinds else "no error"
    expect.that("ValueError" in kinds, "No metrics: a ValueError is needed.", got=got)
