"""Step `files`: saving, loading, and GPT-2's own files."""

import json

import bpe_oracle
from bpe_oracle import counted, encode, english, learn, pieces_of, tokens

from cohort_cli.checking.authoring import check

END = "<|endoftext|>"


def shuffled(rng, merges, special):
    """A vocabulary in which no id is where one expects it."""
    pieces = list(pieces_of(merges, special).values())
    rng.random.shuffle(pieces)
    return {2 * number: piece for number, piece in enumerate(pieces)}


@check("files-characters", title="GPT-2's printable character for each byte")
def test_files_characters(member, expect):
    """188 bytes are printable and stand for themselves. The other 68 get the characters from U+0100 on, in order.

    Byte 0 is Ā, the space is Ġ, the line feed Ċ. The byte 173 (a soft hyphen, which nobody sees) is among the 68.
    """
    got = member.tokenizer.byte_characters()
    want = bpe_oracle.gpt2_characters()
    expect.that(isinstance(got, dict), "A dict from byte to character is needed.", got=type(got).__name__)
    expect.equal(
        [got.get(byte) for byte in range(256)], [want[byte] for byte in range(256)], say="For bytes 0 to 255."
    )


@check("files-round-trip", title="load gives back what save was given", needs=["special-ids", "words-encode"])
def test_files_round_trip(member, expect, rng):
    """Vocabulary, merges in their order, special tokens and pattern: all of it, or the same text gets other ids.

    The ids are shuffled here with gaps between them, a merge ends inside a letter, and the pattern is not the usual one.
    """
    merges = [
        *learn(counted(english(rng.random, 60)), 30),
        (b"\xc3", b"\xa9"),
        (b"\xe2", b"\x82"),
        (b"\n", b"\n"),
    ]
    special = ["<|z|>", END, "<|a|>"]
    vocab = shuffled(rng, merges, special)
    pattern = r"\s?\w+|[^\w\s]+|\s+"
    tok = member.tokenizer.BPETokenizer(vocab, merges, special, pattern)
    path = member.path("mine.tok")
    tok.save(path)
    back = member.tokenizer.BPETokenizer.load(path)
    expect.equal(member.get(back, "vocab"), vocab, say="vocab after saving and loading.")
    expect.merges(list(member.get(back, "merges")), merges, say="merges after saving and loading.")
    expect.equal(
        list(member.get(back, "special_tokens")), special, say="special_tokens after saving and loading."
    )
    expect.equal(member.get(back, "pattern"), pattern, say="pattern after saving and loading.")
    text = f"é€\n\n {english(rng.random, 10)} it's{END}<|a|>"
    want = tok.encode(text, allowed_special="all")
    got = back.encode(text, allowed_special="all")
    expect.ids(got, want, tokens(merges, vocab), say=f"Encoding {text!r} after loading.")
    member.tokenizer.BPETokenizer(pieces_of([]), [], pattern=None).save(path)
    back = member.tokenizer.BPETokenizer.load(path)
    expect.equal(member.get(back, "pattern"), None, say="pattern=None, saved over the first file and loaded.")


@check("files-json", title="one file, of JSON", needs=["files-round-trip"])
def test_files_json(member, expect):
    """JSON in UTF-8, which every language reads and no reader executes.

    A pickle can run any program when it is loaded: never open a stranger's. Everything is in the one file that was
    asked for, and nothing else is left beside it.
    """
    tok = member.tokenizer.BPETokenizer(pieces_of([(b"\xff", b" ")], [END]), [(b"\xff", b" ")], [END])
    tok.save(member.path("out/mine.json") if member.write("out/other.txt", b"") else "")
    expect.equal(member.files("out"), ["mine.json", "other.txt"], say="The files in the folder after `save`.")
    try:
        json.loads(member.read("out/mine.json").decode("utf-8"))
        problem = None
    except ValueError:
        problem = "not JSON"
    expect.that(problem is None, "The file must be JSON in UTF-8.", got=problem)


@check("files-broken", title="a broken file is refused", needs=["files-round-trip"])
def test_files_broken(member, expect):
    """Half a file, other bytes, JSON with other content: a ValueError, not a tokenizer that seems fine."""
    tok = member.tokenizer.BPETokenizer(pieces_of([(b"a", b"b")], [END]), [(b"a", b"b")], [END])
    tok.save(member.path("mine.json"))
    whole = member.read("mine.json")
    for data, what in (
        (whole[: len(whole) // 2], "Half of the file"),
        (whole[: len(whole) - 3], "A file that lacks its last three bytes"),
        (b"", "An empty file"),
        (b"\x80\x04\x95\x00", "A file of other bytes"),
        (b"[1, 2, 3]", "JSON with a list"),
        (b'{"name": "something else"}', "JSON of something else"),
    ):
        path = member.write("broken.json", data)
        expect.raises(member.tokenizer.BPETokenizer.load, path, say=f"{what}: load must raise a ValueError.")


@check(
    "files-gpt2",
    title="GPT-2's vocabulary gives GPT-2's ids",
    needs=["files-characters", "words-encode", "special-ids"],
)
def test_files_gpt2(member, expect, rng):
    """encoder.json names the ids: "Ġthe" is 262. vocab.bpe has the merges, one a line, after a line with the version.

    The bytes have other ids than in your own vocabularies, and <|endoftext|> is 50256.
    """
    encoder, lines = bpe_oracle.gpt2_files()
    paths = member.write("encoder.json", encoder), member.write("vocab.bpe", lines.rstrip())
    tok = member.tokenizer.BPETokenizer.from_gpt2(*paths)
    vocab, merges = bpe_oracle.gpt2()
    meaning = tokens(merges, vocab)
    for text in (
        "Hello world",
        "The tokenizer's   spaces\n\n\tand tabs,  it's 2024!",
        "naïve café, Привет, 東京, שלום, 👩🏽‍🚀",
        "def f(x):\n    return x**2  # squared",
        english(rng.random, 15),
    ):
        expect.ids(tok.encode(text), encode(text, merges, vocab), meaning, say=f"Encoding {text!r}.")
    expect.equal(list(member.get(tok, "special_tokens")), [END], say="The attribute special_tokens.")
    expect.equal(tok.encode(END, allowed_special="all"), [50256], say="The id of <|endoftext|>.")
    expect.equal(tok.decode([15496, 995, 50256]), f"Hello world{END}", say="Decoding [15496, 995, 50256].")
    broken = member.write("broken.bpe", lines[: lines.index(b"\n", 5000)] + b"\nthree words here\n")
    expect.raises(
        member.tokenizer.BPETokenizer.from_gpt2, paths[0], broken, say="A damaged vocab.bpe: a ValueError."
    )
    half = member.write("half.json", encoder[: len(encoder) // 2])
    expect.raises(
        member.tokenizer.BPETokenizer.from_gpt2, half, paths[1], say="Half of encoder.json: a ValueError."
    )
