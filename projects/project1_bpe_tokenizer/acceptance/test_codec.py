"""Step `codec`: a vocabulary encodes and decodes. Without a pattern: the whole text is one word."""

import unicodedata

from bpe_oracle import encode, english, learn, mixed_text, pieces_of, some_text, tokens

from cohort_cli.checking.authoring import check

# Merges that cross: which of two that overlap is made first decides what becomes of the rest.
CROSSING = [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c"), (b"bc", b"d"), (b"a", b"bcd"), (b"d", b"a")]


def new(member, merges, vocab=None):
    """The member's tokenizer with these merges, and what the ids stand for."""
    vocab = vocab or pieces_of(merges)
    return member.tokenizer.BPETokenizer(vocab, merges, pattern=None), tokens(merges, vocab)


def learned(text, n_merges):
    return learn({text.encode(): 1}, n_merges)


@check("codec-bytes", title="without merges, ids are bytes")
def test_codec_bytes(member, expect):
    """With the 256 bytes alone, encoding is UTF-8 and decoding is UTF-8 back. No id can ever be missing.

    The attributes vocab and merges are what was given.
    """
    tok, meaning = new(member, [])
    for text in ("hi", "5 € 😀", ""):
        expect.ids(tok.encode(text), list(text.encode()), meaning, say=f"Encoding {text!r}.")
    expect.equal(tok.decode([104, 105]), "hi", say="Decoding [104, 105].")
    expect.equal(member.get(tok, "vocab"), pieces_of([]), say="The attribute vocab.")
    expect.equal(list(member.get(tok, "merges")), [], say="The attribute merges.")


@check("codec-runs", title="every occurrence, from left to right", needs=["codec-bytes"])
def test_codec_runs(member, expect):
    """Runs of one letter show both. With the merges a+a and aa+aa, seven times a is aaaa, aa, a: never a, aa, aaaa."""
    merges = [(b"a", b"a"), (b"aa", b"aa")]
    tok, meaning = new(member, merges)
    for text in ("aaaaaaa", "aaa", "baaaaab", "aabaaab", "a" * 3001):
        want = encode(text, merges, pieces_of(merges), None)
        expect.ids(
            tok.encode(text), want, meaning, say=f"Encoding {len(text)} letters with a+a, aa+aa: {text:.20}"
        )


@check("codec-order", title="the merge learned first is made first", needs=["codec-runs"])
def test_codec_order(member, expect, rng):
    """Encoding repeats what training did, in the same order: of all pairs present, the one with the lowest rank.

    Not the leftmost pair, and not the longest token of the vocabulary: "abc" with the merges b+c, a+b is a, bc.
    """
    tok, meaning = new(member, CROSSING)
    for text in ("abcdabc", "abc", "ababc", "xabcdabx"):
        want = encode(text, CROSSING, pieces_of(CROSSING), None)
        expect.ids(tok.encode(text), want, meaning, say=f"{text!r} with b+c, a+b, ab+c, bc+d, a+bcd, d+a.")
    for letters in ("ab", "abcd", "aé "):
        merges = learned(some_text(rng.random, letters, 70), 25)
        tok, meaning = new(member, merges)
        text = some_text(rng.random, letters, 60)
        expect.ids(
            tok.encode(text),
            encode(text, merges, pieces_of(merges), None),
            meaning,
            say=f"Encoding {text!r}.",
        )


@check("codec-vocab", title="an id is what the vocabulary says", needs=["codec-order"])
def test_codec_vocab(member, expect, rng):
    """In GPT-2's vocabulary the space has the id 220, not 32. So look bytes up, and look the results of merges up.

    Here the bytes are shuffled, the merges have ids from the last to the first, and there are gaps: 256 + rank is not
    the id of a merge, and a lower id does not come first.
    """
    letters = list(pieces_of([]).values())
    rng.random.shuffle(letters)
    for merges in (CROSSING, learned(some_text(rng.random, "abcd", 70), 25)):
        pieces = [*letters, *reversed([left + right for left, right in merges])]
        vocab = {3 * number + 7: piece for number, piece in enumerate(pieces)}
        tok, meaning = new(member, merges, vocab)
        text = "abcdabc" + some_text(rng.random, "abcd", 50)
        want = encode(text, merges, vocab, None)
        expect.ids(tok.encode(text), want, meaning, say=f"Encoding {text!r}.")
        expect.equal(tok.decode(want), text, say="Decoding it.")


@check("codec-decode", title="bytes are joined before they are decoded", needs=["codec-bytes"])
def test_codec_decode(member, expect):
    """é is two bytes, and each may sit in a token of its own. Decoded one by one they are two broken characters.

    What is broken as a whole becomes U+FFFD, or a ValueError with errors="strict".
    """
    tok, _ = new(member, [(b"\xc3", b"\xa9"), (b"\x82", b"\xac")])
    for ids in ([104, 0xC3, 0xA9], [256, 0xE2, 257], [0xF0, 0x9F, 0x98, 0x80], [257, 104], [0xC3]):
        data = b"".join(pieces_of([(b"\xc3", b"\xa9"), (b"\x82", b"\xac")])[id] for id in ids)
        expect.equal(tok.decode(ids), data.decode(errors="replace"), say=f"Decoding {ids}.")
    expect.equal(tok.decode((104, 105)), "hi", say="Decoding a tuple.")
    expect.equal(tok.decode([]), "", say="Decoding no ids.")
    expect.raises(tok.decode, [0xC3], errors="strict", say='[195] with errors="strict": a ValueError.')


@check("codec-unknown", title="an id that is not there is refused", needs=["codec-bytes"])
def test_codec_unknown(member, expect):
    """A ValueError that says so. Left out in silence, a wrong vocabulary would look like a model that stammers."""
    tok, _ = new(member, [(b"a", b"b")])
    for ids in ([97, 257], [-1], [100_000]):
        expect.raises(tok.decode, ids, say=f"There is no token with this id: decode({ids}) is a ValueError.")


@check("codec-round-trip", title="any text comes back exactly", needs=["codec-decode"])
def test_codec_round_trip(member, expect, rng):
    """Many scripts, combining marks, Windows line ends, spaces at both ends: decode(encode(text)) == text."""
    tok, _ = new(member, learned(english(rng.random, 40), 40))
    for text in (
        "  spaces at both ends  ",
        "a\r\nb\rc\u2028d\n\n",
        unicodedata.normalize("NFD", "naïve café über"),
        "\ufeffa\x00b\x1c\x85",
        mixed_text(rng.random, 80),
    ):
        expect.equal(tok.decode(tok.encode(text)), text, say=f"Encoding and decoding {text!r}.")
    expect.raises(tok.encode, "a\ud800", say="Half a surrogate pair is no text: a ValueError.")


@check("codec-checked", title="a vocabulary with a hole is refused", needs=["codec-bytes"])
def test_codec_checked(member, expect):
    """Without all 256 bytes some text has no ids; without the result of a merge, that merge has no id. A ValueError."""
    merges = [(b"a", b"b"), (b"ab", b"c")]
    for hole, what in (
        (b"z", "the byte 122"),
        (b"\x00", "the byte 0"),
        (b"abc", "b'abc', which the last merge makes"),
    ):
        vocab = {id: piece for id, piece in pieces_of(merges).items() if piece != hole}
        say = f"A vocabulary without {what}: a ValueError."
        expect.raises(member.tokenizer.BPETokenizer, vocab, merges, pattern=None, say=say)


@check("codec-compression", title="bytes per token", needs=["codec-order"])
def test_codec_compression(member, expect):
    """How many bytes one token stands for, on average: 1 without merges, about 4 for GPT-2 and English.

    Bytes, not characters: é counts as two. An empty text has no tokens: a ValueError.
    """
    tok, _ = new(member, [(b"\xc3", b"\xa9"), (b"a", b"b")])
    for text, want in (("abab", 2.0), ("éé", 2.0), ("aab€", 6 / 5), (" ab ", 4 / 3)):
        expect.equal(member.tokenizer.compression(tok, text), want, say=f"Bytes per token of {text!r}.")
    expect.raises(member.tokenizer.compression, tok, "", say="An empty text has no tokens: a ValueError.")
