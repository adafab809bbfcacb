"""Step `shards`: text that arrives in pieces, and files of token ids."""

import numpy as np
from bpe_oracle import counted, encode, english, learn, mixed_text, pieces_of, tokens

from cohort_cli.checking.authoring import check

END = "<|endoftext|>"


def learned(member, rng, special=(END,)):
    """A tokenizer with merges of the same kind of text, its merges, and its vocabulary."""
    merges = learn(counted(english(rng.random, 120)), 40)
    vocab = pieces_of(merges, special)
    return member.tokenizer.BPETokenizer(vocab, merges, list(special)), merges, vocab


def cut(random, text, n_cuts):
    places = sorted(random.randrange(len(text) + 1) for _ in range(n_cuts))
    return [text[i:j] for i, j in zip([0, *places], [*places, len(text)], strict=True)]


@check("stream-ids", title="text in pieces has the ids of the whole text", needs=["words-encode"])
def test_stream_ids(member, expect, rng):
    """encode_iterable gives the ids of the joined text, wherever it was cut: in a word, in a run of spaces, in "'ll".

    What the next piece may still change must wait: after "wait '" comes either "ll" or anything else.
    """
    tok, merges, vocab = learned(member, rng)
    texts = [
        ["a", "\n\n", "\nb"],
        ["we'", "ll ", " go"],
        ["it'", "r", "e  ", "  ", "x"],
        ["", "", "end  "],
        [],
    ]
    texts += [cut(rng.random, english(rng.random, 20) + mixed_text(rng.random, 20), 9) for _ in range(4)]
    texts += [list("they've 12 34\n\n  lower!")]
    hand = [(b"r", b"e"), (b"'", b"re"), (b"l", b"l"), (b" ", b" ")]
    by_hand = member.tokenizer.BPETokenizer(pieces_of(hand), hand)
    for pieces in (["it'", "r", "e"], ["we'", "l", "l"], ["a ", " ", " b"]):
        want = encode("".join(pieces), hand, pieces_of(hand))
        expect.ids(
            list(by_hand.encode_iterable(pieces)), want, tokens(hand), say=f"Encoding the pieces {pieces}."
        )
    for pieces in texts:
        want = encode("".join(pieces), merges, vocab)
        got = list(tok.encode_iterable(pieces))
        expect.ids(got, want, tokens(merges, vocab), say=f"Encoding the pieces {pieces}.")


@check("stream-special", title="a special token may be cut in two", needs=["stream-ids", "special-text"])
def test_stream_special(member, expect, rng):
    """Where allowed, "<|endo" and "ftext|>" are one special token. The beginning of one without its end is text."""
    tok, merges, vocab = learned(member, rng, (END, "<|end", "<|endoftext|><|x|>"))
    special = [END, "<|end", "<|endoftext|><|x|>"]
    for pieces in (
        ["the <|endo", "ftext|> cat"],
        list(f"a  {END}<|x|>b{END}<|e"),
        ["cat <|en", "d of"],
        cut(rng.random, f"low{END}  new <|endof {END}{END}<|x|> it's", 8),
    ):
        text = "".join(pieces)
        want = tok.encode(text, allowed_special="all")
        got = list(tok.encode_iterable(pieces, allowed_special="all"))
        expect.ids(
            got, want, tokens(merges, vocab), say=f"Encoding the pieces {pieces}, all {special} allowed."
        )
        got = list(tok.encode_iterable(pieces))
        expect.ids(
            got, encode(text, merges, vocab), tokens(merges, vocab), say=f"The pieces {pieces}, none allowed."
        )


@check("stream-lazy", title="the first ids come before the last text", needs=["stream-ids"])
def test_stream_lazy(member, expect):
    """A corpus may be larger than the memory. So ids come while the text is still being read.

    Ten thousand lines are offered here; the first id must come after a thousand of them at most.
    """
    tok = member.tokenizer.BPETokenizer(pieces_of([], [END]), [], [END])
    for allowed in ("none", "all"):
        lines = member.feed(["the cat sat on a mat\n"], times=10_000)
        next(iter(tok.encode_iterable(lines, allowed_special=allowed)))
        pulled = member.get(lines, "pulled")
        say = f"{pulled:,} of 10,000 lines were read before the first id came."
        expect.that(pulled <= 1000, say, got="all" if pulled == 10_000 else "many")


def shards_of(member, folder):
    """name -> ids"""
    return {
        name: np.frombuffer(member.read(f"{folder}/{name}"), "<u2").tolist() for name in member.files(folder)
    }


def expected(tok_ids, shard_tokens):
    return {
        f"shard_{number:05d}.bin": tok_ids[start : start + shard_tokens]
        for number, start in enumerate(range(0, len(tok_ids), shard_tokens))
    }


def ids_of(docs, merges, vocab):
    end = next(id for id, piece in vocab.items() if piece == END.encode())
    return [id for doc in docs for id in [*encode(doc, merges, vocab), end]]


@check("shards-values", title="documents one after another, each closed", needs=["special-text"])
def test_shards_values(member, expect, rng):
    """After each document comes <|endoftext|>, after the last one too, so that a model learns where a text ends.

    Each id is 16 bits, the low byte first. All in one shard here.
    """
    tok, merges, vocab = learned(member, rng, (END, "<|user|>"))
    docs = [english(rng.random, 9), "", " né\r\n", f"say {END} aloud", " né\r\n"]
    member.shards.write_token_shards(tok, docs, member.path("a/b/out"), 10_000)
    expect.equal(member.files("a/b/out"), ["shard_00000.bin"], say="The files.")
    got = shards_of(member, "a/b/out")["shard_00000.bin"]
    expect.ids(got, ids_of(docs, merges, vocab), tokens(merges, vocab), say=f"The ids of {docs}.")


@check("shards-sizes", title="every shard is full but the last", needs=["shards-values"])
def test_shards_sizes(member, expect, rng):
    """Exactly shard_tokens ids in each file; a document that does not fit goes on in the next one. Nothing is lost.

    The paths come back in order. No documents: no shards.
    """
    tok, merges, vocab = learned(member, rng)
    docs = [english(rng.random, n) for n in (3, 30, 1, 12)]
    all_ids = ids_of(docs, merges, vocab)
    for number, size in enumerate((16, 7, len(all_ids), 1)):
        folder = f"out{number}"
        paths = member.shards.write_token_shards(tok, docs, member.path(folder), size)
        got, want = shards_of(member, folder), expected(all_ids, size)
        expect.equal(list(got), list(want), say=f"The files for {len(all_ids)} ids and shard_tokens={size}.")
        for name in want:
            expect.ids(got[name], want[name], tokens(merges, vocab), say=f"{name} with shard_tokens={size}.")
        expect.equal(
            [str(path).replace("\\", "/").rpartition("/")[2] for path in paths], list(want), say="The paths."
        )
    member.shards.write_token_shards(tok, [], member.path("none"), 16)
    expect.equal(member.files("none"), [], say="The files without any document.")


@check("shards-large-ids", title="ids up to 65,535 fit, larger ones are refused", needs=["shards-values"])
def test_shards_large_ids(member, expect):
    """uint16 ends at 65,535. A larger id would begin at 0 again, in silence: a ValueError before anything is written.

    GPT-2's 50,257 ids fit, but not into int16, which ends at 32,767.
    """
    for largest, fits in ((65_535, True), (65_536, False), (50_256, True)):
        vocab = {**pieces_of([]), largest: END.encode()}
        tok = member.tokenizer.BPETokenizer(vocab, [], [END])
        if fits:
            member.shards.write_token_shards(tok, ["hi"], member.path(f"out{largest}"), 100)
            got = shards_of(member, f"out{largest}").get("shard_00000.bin")
            expect.equal(got, [104, 105, largest], say=f"The ids of 'hi' with <|endoftext|> = {largest}.")
        else:
            say = f"The id {largest} does not fit into 16 bits: a ValueError."
            expect.raises(member.shards.write_token_shards, tok, ["hi"], member.path("too"), 100, say=say)
            expect.equal(member.files("too"), [], say="The files after that error.")
    vocab = {**pieces_of([], [END]), 70_000: b"zz"}
    tok = member.tokenizer.BPETokenizer(vocab, [], [END])
    say = "The id 70,000 does not fit into 16 bits, also if it is an ordinary token: a ValueError."
    expect.raises(member.shards.write_token_shards, tok, ["hi"], member.path("too"), 100, say=say)


@check("shards-stream", title="one shard in memory, not all", needs=["shards-sizes"])
def test_shards_stream(member, expect):
    """A shard is written when it is full, and then forgotten. So files appear while documents are still being read."""
    tok = member.tokenizer.BPETokenizer(pieces_of([], [END]), [], [END])
    docs = member.feed(["the cat sat"], times=200, folder="out")
    member.shards.write_token_shards(tok, docs, member.path("out"), 100)
    seen = member.get(docs, "seen")
    say = f"When the last of 200 documents was read, {seen[-1]} of 24 files were there."
    expect.that(seen[-1] >= 20, say, got=seen[-1])


@check("shards-whole", title="no half shard is left behind", needs=["shards-sizes"])
def test_shards_whole(member, expect):
    """The tenth document holds half a surrogate pair, which is a ValueError. What lies there then must be whole shards.

    A training run reads every file that it finds there. So a file appears under its name when it is complete.
    """
    tok = member.tokenizer.BPETokenizer(pieces_of([], [END]), [], [END])
    docs = ["the cat sat"] * 9 + ["a\ud800"]
    say = "A document with half a surrogate pair is no text: a ValueError."
    expect.raises(member.shards.write_token_shards, tok, docs, member.path("out"), 50, say=say)
    sizes = {name: len(member.read(f"out/{name}")) for name in member.files("out")}
    whole = {name: size for name, size in sizes.items() if size == 100 and name.startswith("shard_")}
    expect.equal(sizes, whole, say="Files and their bytes after the error; a whole shard has 100 bytes here.")


@check("shards-refused", title="what cannot be right is refused first", needs=["shards-values"])
def test_shards_refused(member, expect):
    """No tokens in a shard, or a tokenizer without <|endoftext|>: a ValueError.

    Shards that are there are not overwritten: FileExistsError. Days of work may lie in them.
    """
    write = member.shards.write_token_shards
    tok = member.tokenizer.BPETokenizer(pieces_of([], [END]), [], [END])
    without = member.tokenizer.BPETokenizer(pieces_of([]), [])
    for size in (0, -5):
        expect.raises(write, tok, ["a"], member.path("zero"), size, say=f"shard_tokens={size}: a ValueError.")
    expect.raises(
        write,
        without,
        ["a"],
        member.path("zero"),
        10,
        say="No <|endoftext|> in the vocabulary: a ValueError.",
    )
    expect.equal(member.files("zero"), [], say="The files after these errors.")
    write(tok, ["abc"], member.path("there"), 10)
    before = member.read("there/shard_00000.bin")
    kinds = ("FileExistsError",)
    expect.raises(
        write, tok, ["xyz"], member.path("there"), 10, kinds=kinds, say="Shards are there: FileExistsError."
    )
    expect.equal(member.read("there/shard_00000.bin"), before, say="The shard that was there.")
    member.write("gap/shard_00001.bin", b"ab")
    expect.raises(
        write, tok, ["xyz"], member.path("gap"), 10, kinds=kinds, say="shard_00001.bin alone is there."
    )
