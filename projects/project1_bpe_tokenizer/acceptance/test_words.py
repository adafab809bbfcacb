"""Step `words`: GPT-2's pattern, counts of words, and merges within words."""

from bpe_oracle import PATTERN, counted, encode, english, learn, mixed_text, pieces_of, tokens, words_of

from cohort_cli.checking.authoring import check


def found(member, text, *pattern):
    return list(member.words.pretokenize(text, *pattern))


@check("words-letters", title="letters of every script, with their space")
def test_words_letters(member, expect):
    """A word is letters, with the one space before it: "the", " cat". Letters are \\p{L}: é, я and 東 are some.

    [a-zA-Z] would cut "café" in two.
    """
    for text in ("the cat sat", "naïve café über", "Привет, мир", "東京 大阪", "Ⅷ xʰ ラーメン"):
        expect.equal(found(member, text), words_of(text), say=f"The words of {text!r}.")


@check("words-digits", title="digits and other signs stay apart", needs=["words-letters"])
def test_words_digits(member, expect):
    """Digits of every kind (\\p{N}: also ½, ² and ٣) are a word of their own. So are all other signs, _ among them.

    A run of digits is not cut into groups. A combining accent is a mark and no letter, as in GPT-2.
    """
    for text in (
        "abc123 abc123",
        "x_y __init__(self)",
        "½ cup, 10² m",
        "٣٤ 12345678",
        "wait... what?!",
        "100€ a-b",
        "e\u0301a",
    ):
        expect.equal(found(member, text), words_of(text), say=f"The words of {text!r}.")


@check("words-contractions", title="'s, 't, 're, 've, 'm, 'll and 'd are words", needs=["words-letters"])
def test_words_contractions(member, expect):
    """ "it's" is "it", "'s". Only in small letters and only with the straight apostrophe, as in GPT-2.

    They come before the other alternatives: at the same place, the first alternative that fits is taken.
    """
    for text in (
        "it's we'll they've",
        "I'm he'd you're don't",
        "DON'T IT'S",
        "it’s",
        "'tis 'lls 'x",
        "rock 'n' roll",
    ):
        expect.equal(found(member, text), words_of(text), say=f"The words of {text!r}.")


@check("words-spaces", title="the last space belongs to the next word", needs=["words-letters"])
def test_words_spaces(member, expect):
    """ "a   b" is "a", "  ", " b": white space is one word but for its last character, which goes to what follows.

    So " b" is the same token however many spaces come before it. White space at the end of the text is one word.
    """
    for text in (
        "a   b",
        "  indented\n    more",
        "a\n\nb",
        "end  ",
        "\t\ttab",
        "a \n b",
        " ",
        "a\u00a0\u00a0b",
        "a\u2028\u2028b",
        "a \x1c b",
        "x \r\n y",
    ):
        expect.equal(found(member, text), words_of(text), say=f"The words of {text!r}.")


@check("words-whole", title="joined again, the words are the text", needs=["words-letters"])
def test_words_whole(member, expect, rng):
    """Nothing is lost and nothing is added, whatever the text is: marks, joiners and control characters stay too."""
    for _ in range(4):
        text = mixed_text(rng.random, 60) + "👩🏽\u200d🚀"
        words = found(member, text)
        expect.equal("".join(words), text, say="The words, joined.")
        expect.equal(words, words_of(text), say=f"The words of {text!r}.")
    expect.equal(found(member, ""), [], say="An empty text has no words.")


@check("words-own-pattern", title="another pattern, or none", needs=["words-letters"])
def test_words_own_pattern(member, expect):
    """pattern=None: the text is one word. Another pattern cuts as it says, also one with groups in brackets.

    `findall` would give the groups instead of the words.
    """
    text = "two words, 3 signs"
    expect.equal(found(member, text, None), [text], say="Without a pattern.")
    for pattern in (r"\S+|\s+", r"(\w)(\w*)|\W", r"(?:\d{1,3})|\D+"):
        expect.equal(
            found(member, text, pattern), words_of(text, pattern), say=f"With the pattern {pattern}."
        )


@check("words-count", title="how often each word occurs", needs=["words-letters", "words-spaces"])
def test_words_count(member, expect, rng):
    """The words of all texts, as bytes, with their counts. A word never reaches from one text into the next."""
    texts = ["the cat", "the cat the", "sat", "né né", english(rng.random, 40)]
    want = {}
    for text in texts:
        for word, count in counted(text).items():
            want[word] = want.get(word, 0) + count
    expect.equal(member.words.count_words(texts), want, say=f"The words of {texts[:4]} and one more text.")
    expect.equal(member.words.count_words(["aa bb"], None), {b"aa bb": 1}, say="Without a pattern.")


@check("words-merges", title="merges within words, weighted by their counts")
def test_words_merges(member, expect):
    """The example of Sennrich, Haddow and Birch: low 5 times, lower 2, widest 3, newest 6.

    A pair counts once for each time that its word occurs. No merge joins the end of a word to another word.
    """
    toy = {b"low": 5, b"lower": 2, b"widest": 3, b"newest": 6}
    for n_merges in (6, 12):
        got = member.words.learn_merges(toy, n_merges)
        expect.merges(got, learn(toy, n_merges), say=f"{n_merges} merges of low, lower, widest, newest.")


@check("words-merges-random", title="the same as by the definition", needs=["words-merges"])
def test_words_merges_random(member, expect, rng):
    """Words of few letters, with ties and runs; more merges than there are pairs; nothing at all."""
    fixed = {b"abab": 1, b"zz": 1}
    expect.merges(member.words.learn_merges(fixed, 3), learn(fixed, 3), say=f"The merges of {fixed}.")
    for letters in ("ab", "abc", "a", "aé"):
        words = {}
        for _ in range(6):
            word = "".join(rng.random.choice(letters) for _ in range(rng.random.randint(1, 9))).encode()
            words[word] = rng.random.randint(1, 4)
        got = member.words.learn_merges(words, 30)
        expect.merges(got, learn(words, 30), say=f"The merges of {words}.")
    expect.merges(member.words.learn_merges({}, 5), [], say="The merges of nothing.")


@check(
    "words-encode", title="no token crosses a word", needs=["words-letters", "words-spaces", "codec-order"]
)
def test_words_encode(member, expect, rng):
    """With a pattern, each word is encoded on its own, even where a merge would fit across two of them.

    The pattern of GPT-2 is the one that is used when none is named.
    """
    merges = [(b"t", b" "), (b" ", b"m"), (b"a", b"t"), (b"s", b"1"), (b"at", b" m")]
    tok = member.tokenizer.BPETokenizer(pieces_of(merges), merges)
    for text in ("cat mat", "cats1 at  m"):
        want = encode(text, merges, pieces_of(merges))
        expect.ids(tok.encode(text), want, tokens(merges), say=f"Encoding {text!r}.")
    merges = learn(counted(english(rng.random, 60)), 40)
    tok = member.tokenizer.BPETokenizer(pieces_of(merges), merges)
    text = english(rng.random, 25) + mixed_text(rng.random, 20)
    expect.ids(
        tok.encode(text),
        encode(text, merges, pieces_of(merges), PATTERN),
        tokens(merges),
        say=f"Encoding {text!r}.",
    )
