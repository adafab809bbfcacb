"""Step `tokens`: GPT-2's tokenizer, read from its two files.

The folder fixtures/small_gpt2 has a small tokenizer of GPT-2's kind, and ids that the `tokenizers` library gave. Its
ids are in no order.
"""

import itertools
import json
import re
from pathlib import Path

from cohort_cli.checking.authoring import check
from cohort_cli.checking.judge.stopped import MemberRaised
from cohort_cli.checking.judge.tokens import Tokens

FOLDER = Path(__file__).parent / "fixtures" / "small_gpt2"
END = "<|endoftext|>"

# Texts, cut by hand at the places where GPT-2's pattern cuts them.
WORDS = [
    ["I", "'d", " say", " it", "'s", " what", " they", "'ll", " do", ",", " we", "'ve", " you", "'re", "!"],
    ["IT", "'", "S", " don", "'t", "s", " '", "tis", " '", "s"],
    ["a", " ", " b", "  ", " c", " \n", "\n", "d", "\t", "e", " ", "\t", "f", "\r", "\n", "g", "  "],
    ["x", "1", "y", " 22", "z", "_", "3", ".", "14", " ...!?", " (", "a", ")"],
    ["né", "\u00a0", " ü", "2½", "語", "。", " 5", "€", " 😀!", " é"],
]


def letters():
    """byte -> its printable character. Python calls the same bytes printable as GPT-2, but for the space."""
    hidden = [byte for byte in range(256) if byte == 32 or not chr(byte).isprintable()]
    return {byte: chr(256 + hidden.index(byte)) if byte in hidden else chr(byte) for byte in range(256)}


RUNS = ["abc", ".", "abcdabc", ".", "ababc", ".", "xabcdabx", ".", "aaaaaaa", ".", "aaa", ".", "baaaaab"]
LETTERS = letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def printable(text):
    return "".join(LETTERS[byte] for byte in text.encode())


def meaning(vocab, merges):
    """What the ids stand for, for the messages."""
    pieces = {
        id: END.encode() if token == END else bytes(BYTES[c] for c in token) for token, id in vocab.items()
    }
    return Tokens(pieces, [tuple(bytes(BYTES[c] for c in token) for token in pair) for pair in merges])


def swept(word, merges, vocab):
    """Ids of a word, by going over the list of merges once, first to last: each is made wherever it can be.

    That is the same as always taking the best pair, since no merge makes a pair that stands before it in the list.
    """
    parts = [*printable(word)]
    for left, right in merges:
        for place in range(len(parts)):  # from left to right; what is merged is not looked at again
            if parts[place : place + 2] == [left, right]:
                parts[place : place + 2] = [left + right]
    return [vocab[part] for part in parts]


def drawn(rng, texts, count, end=True):
    """A vocabulary with ids in no order, and `count` merges drawn among pairs that occur side by side in the texts."""
    rows = [[*printable(text)] for text in texts]
    merges, names = [], [*LETTERS.values()]
    for _ in range(count):
        pairs = {pair for row in rows for pair in itertools.pairwise(row)}
        pairs = sorted(pair for pair in pairs if "".join(pair) not in names)
        if not pairs:
            break
        left, right = rng.random.choice(pairs)
        merges.append((left, right))
        names.append(left + right)
        for row in rows:
            for place in range(len(row)):
                if row[place : place + 2] == [left, right]:
                    row[place : place + 2] = [left + right]
    names += [END] * end
    ids = rng.random.sample(range(2 * len(names)), len(names))
    return dict(zip(names, ids, strict=True)), merges


def across(rng, texts):
    """A vocabulary whose first merges are the pairs of bytes across the borders of these words; then those within."""
    borders = {(printable(a)[-1], printable(b)[0]) for words in texts for a, b in itertools.pairwise(words)}
    within = {pair for words in texts for word in words for pair in itertools.pairwise(printable(word))}
    merges = [
        pair for pairs in (borders, within - borders) for pair in rng.random.sample(sorted(pairs), len(pairs))
    ]
    names = [*LETTERS.values(), *("".join(pair) for pair in merges), END]
    return dict(zip(names, rng.random.sample(range(999), len(names)), strict=True)), merges


def new(member, vocab, merges):
    return member.tokens.GPT2Tokenizer(vocab, [tuple(pair) for pair in merges])


def stored():
    """vocab.json, merges.txt and ids.json of the small tokenizer."""
    vocab = json.loads((FOLDER / "vocab.json").read_text(encoding="utf-8"))
    lines = (FOLDER / "merges.txt").read_text(encoding="utf-8").split("\n")[1:-1]
    ids = json.loads((FOLDER / "ids.json").read_text(encoding="utf-8"))
    return vocab, [tuple(line.split(" ")) for line in lines], ids


def put(member, folder, vocab=None, merges=None):
    """The small tokenizer's files, or other bytes in their place, in a folder of the member's; its path."""
    for name, data in (("vocab.json", vocab), ("merges.txt", merges)):
        member.write(f"{folder}/{name}", (FOLDER / name).read_bytes() if data is None else data)
    return member.path(folder)


def as_one(text):
    """How many U+FFFD stand for one broken character is open."""
    return re.sub("\ufffd+", "\ufffd", text) if isinstance(text, str) else text


@check("tokens-bytes", title="every byte has its printable character, and its id")
def test_tokens_bytes(member, expect, rng):
    """256 characters that can be printed stand for the bytes: 188 for themselves, the other 68 for U+0100, U+0101 …

    A space is U+0120, a line feed U+010A, the soft hyphen 0xAD U+0143. An id is what vocab.json says, and has nothing
    to do with the value of the byte.
    """
    vocab, _ = drawn(rng, [], 0)
    tok = new(member, vocab, [])
    for text in ("hi", "aé語", "a\n\tb c", "é\u00a0\u00ad¿ÿ", "5 € 😀", "".join(map(chr, range(0x180)))):
        want = [vocab[letter] for letter in printable(text)]
        expect.ids(
            tok.encode(text), want, meaning(vocab, []), say=f"The ids of {text[:12]!r}, without merges."
        )


@check("tokens-merges", title="of all pairs the one that stands first in merges.txt", needs=["tokens-bytes"])
def test_tokens_merges(member, expect, rng):
    """A word is merged as the merges were learned: the pair with the lowest line number, wherever it occurs, from left
    to right; then again, until no pair is in the list.

    Not the leftmost pair, and not the longest token. Computed here by going through the list of merges once.
    """
    merges = [
        ("b", "c"),
        ("a", "b"),
        ("ab", "c"),
        ("bc", "d"),
        ("a", "bcd"),
        ("d", "a"),
        ("a", "a"),
        ("aa", "aa"),
    ]
    names = [*LETTERS.values(), *("".join(pair) for pair in merges)]
    places = (
        2,
        3,
        0,
        4,
        5,
        1,
        6,
        7,
    )  # the ids of merged tokens: neither in the order of the merges nor in reverse
    ids = [*rng.random.sample(range(300, 900), 256), *places]
    vocab = dict(zip(names, ids, strict=True))
    want = [id for word in RUNS for id in swept(word, merges, vocab)]
    got = new(member, vocab, merges).encode("".join(RUNS))
    say = f"{''.join(RUNS)} with b c, a b, ab c, bc d, a bcd, d a, a a, aa aa in this order."
    expect.ids(got, want, meaning(vocab, merges), say=say)
    for alphabet in ("ab", "abcd", "uvwxyz"):
        texts = ["".join(rng.random.choices(alphabet, k=60)) for _ in range(4)]
        vocab, merges = drawn(rng, texts, 40)
        tok = new(member, vocab, merges)
        for text in ("".join(rng.random.choices(alphabet, k=50)) for _ in range(6)):
            want = swept(text, merges, vocab)
            expect.ids(tok.encode(text), want, meaning(vocab, merges), say="Random letters, random merges.")


@check("tokens-words", title="no token crosses from one word to the next", needs=["tokens-merges"])
def test_tokens_words(member, expect, rng):
    """The text is cut first, with GPT-2's pattern: contractions in small letters; letters, digits, other signs, each
    with the one space before it; of more white space the last one is left for the word that follows.

    Here the list has merges across every one of these borders: nothing but the cut keeps them from being made.
    """
    vocab, merges = across(rng, WORDS)
    tok = new(member, vocab, merges)
    for words in WORDS:
        text, want = "".join(words), [id for word in words for id in swept(word, merges, vocab)]
        expect.ids(tok.encode(text), want, meaning(vocab, merges), say=f"{text!r} is cut into {words}.")


@check("tokens-folder", title="the same ids as everybody's tools", needs=["tokens-words"])
def test_tokens_folder(member, expect):
    """from_folder reads vocab.json and merges.txt; 19 texts get the ids that Hugging Face's tokenizers give.

    Accents, two ways to write é, emoji made of several characters, three scripts, control characters, white space of
    five kinds, "##" (a merge that begins with the sign of a comment). And decoding gives each text back.
    """
    vocab, merges, ids = stored()
    tok = member.tokens.GPT2Tokenizer.from_folder(put(member, "small"))
    for text, want in ids["ordinary"]:
        if "<|" in text:  # see tokens-end
            continue
        expect.ids(tok.encode(text), want, meaning(vocab, merges), say=f"The ids of {text!r}.")
        expect.equal(tok.decode(want), text, say="Decoding these ids.")


@check("tokens-end", title="<|endoftext|> is a text, unless you say so", needs=["tokens-folder"])
def test_tokens_end(member, expect, rng):
    """If a reader writes <|endoftext|> into a prompt, that must not end the document: it is cut like any other text.

    allow_end_of_text=True is for your own documents: then it is one id, and the text on either side is encoded as it
    stands, with its spaces. A vocabulary need not have it: then eos_id is None, and there is nothing to allow.
    """
    vocab, merges, ids = stored()
    tok = member.tokens.GPT2Tokenizer.from_folder(put(member, "small"))
    expect.equal(
        member.get(tok, "eos_id"), vocab[END], say="eos_id is the id of <|endoftext|> in vocab.json."
    )
    for (text, ordinary), (_, allowed) in zip(ids["ordinary"], ids["end"], strict=True):
        if "<|" in text:
            say = f"The ids of {text!r}"
            expect.ids(tok.encode(text), ordinary, meaning(vocab, merges), say=f"{say}, as a text.")
            got = tok.encode(text, allow_end_of_text=True)
            expect.ids(got, allowed, meaning(vocab, merges), say=f"{say}, with allow_end_of_text=True.")
            expect.equal(tok.decode(allowed), text, say="Decoding these ids.")
    vocab, merges = drawn(rng, ["<|end of text|>"], 10, end=False)
    tok = new(member, vocab, merges)
    expect.equal(member.get(tok, "eos_id"), None, say="A vocabulary without <|endoftext|>: eos_id.")
    for allow in (False, True):
        got = tok.encode(END, allow_end_of_text=allow)
        say = f"It is a text, whatever is allowed; allow_end_of_text={allow}."
        want = [id for word in ("<|", "endoftext", "|>") for id in swept(word, merges, vocab)]
        expect.ids(got, want, meaning(vocab, merges), say=say)


@check("tokens-decode", title="decoding gives the text back, whole or broken", needs=["tokens-bytes"])
def test_tokens_decode(member, expect, rng):
    """A character may be spread over several tokens, so the bytes are joined first and decoded then.

    A model can stop in the middle of a character. What is no UTF-8 becomes U+FFFD, and is no error. An id that the
    vocabulary does not have is one: a ValueError.
    """
    vocab, merges = drawn(rng, ["語語 😀😀 éé", "né語"], 12)
    tok = new(member, vocab, merges)
    single = {byte: vocab[letter] for byte, letter in LETTERS.items()}
    for text in ("語 é 😀", "", "\x00 \n\r\n", "e\u0301 \ufeff", "\x7f\u00a0\u00ad¿ÿ"):
        ids = [single[byte] for byte in text.encode()]
        expect.equal(tok.decode(ids), text, say="A text, one id for each byte.")
        expect.equal(tok.decode(member.feed(ids)), text, say="The same ids, from an iterator.")
    for data in ("語".encode()[:2], b"a\xff b", "é!".encode()[1:], b"\xf0\x9f\x98 ok"):
        want = as_one(data.decode(errors="replace"))
        got = tok.decode([single[byte] for byte in data])
        expect.equal(as_one(got), want, say=f"The bytes {data!r}, which are no UTF-8.")
    for id in (-1, max(vocab.values()) + 1, min({*range(2000)} - {*vocab.values()})):
        expect.raises(tok.decode, [single[65], id], say=f"There is no token with the id {id}: a ValueError.")


@check("tokens-save", title="what is saved is in the format, and comes back", needs=["tokens-folder"])
def test_tokens_save(member, expect):
    """vocab.json: one table. merges.txt: the version, then one merge per line, in their order. UTF-8, whatever the
    computer's own encoding is. The folder is made if it is not there; other files in it stay.
    """
    vocab, merges, ids = stored()
    tok = member.tokens.GPT2Tokenizer.from_folder(put(member, "small"))
    member.write("there/notes.txt", b"mine")
    for folder in ("there", "not/yet"):
        tok.save(member.path(folder))
        got = json.loads(member.read(f"{folder}/vocab.json").decode("utf-8"))
        expect.equal(got, vocab, say=f"vocab.json in {folder}.")
        lines = member.read(f"{folder}/merges.txt").decode("utf-8").splitlines()
        expect.that(lines[0].startswith("#version"), "merges.txt begins with its version.", got=lines[0])
        got = [line for line in lines[1:] if line]
        expect.equal(got, [" ".join(pair) for pair in merges], say="The other lines of merges.txt.")
        again = member.tokens.GPT2Tokenizer.from_folder(member.path(folder))
        text, want = ids["ordinary"][3]
        expect.equal(again.encode(text), want, say="Ids from what was saved.")
    expect.equal(member.read("there/notes.txt"), b"mine", say="Another file in the folder.")


@check("tokens-refused", title="a vocabulary that does not fit is refused", needs=["tokens-merges"])
def test_tokens_refused(member, expect, rng):
    """A byte without an id, a merge whose token has no id, two tokens with one id: each is a ValueError at once, not a
    KeyError in the middle of some later text.

    A file that is damaged is a ValueError with the file's name in it.
    """
    vocab, merges = drawn(rng, ["abcabdabe abc"], 8)
    byte = LETTERS[rng.random.randrange(256)]
    made = "".join(rng.random.choice(merges))
    for lacking, what in ((byte, "a byte"), (made, "a token that a merge makes")):
        part = {token: id for token, id in vocab.items() if token != lacking}
        expect.raises(new, member, part, merges, say=f"The vocabulary lacks {what}: a ValueError.")
    one, other = rng.random.sample([*LETTERS.values()], 2)
    double = vocab | {one: vocab[other]}
    expect.raises(new, member, double, merges, say="Two tokens have the same id: a ValueError.")
    whole = {name: (FOLDER / name).read_bytes() for name in ("vocab.json", "merges.txt")}
    lines = whole["merges.txt"].split(b"\n")
    cases = [
        ("vocab.json", whole["vocab.json"][:-40], "is cut off"),
        ("vocab.json", b"[1, 2, 3]", "has a list in it"),
        ("vocab.json", whole["vocab.json"].replace(b": 7,", b': "7",'), "has an id that is a text"),
        ("vocab.json", whole["vocab.json"].replace(b"{", b"{\xff", 1), "is not in UTF-8"),
        ("merges.txt", b"\n".join([*lines[:9], b"the", *lines[9:]]), "has a line with one token"),
        ("merges.txt", b"\n".join([*lines[:9], b"t h e", *lines[9:]]), "has a line with three tokens"),
        ("merges.txt", b"\n".join([*lines[:9], b"\xff\xfe t", *lines[9:]]), "is not in UTF-8"),
    ]
    for number, (name, data, what) in enumerate(cases):
        damaged = {"vocab": data} if name == "vocab.json" else {"merges": data}
        path = put(member, f"damaged{number}", **damaged)
        message = refused(member, expect, path, f"{name} {what}: a ValueError.")
        expect.that(
            name in message, f"{name} {what}: the message must name the file.", got=message.replace(path, "")
        )


def refused(member, expect, path, say):
    """from_folder must raise a ValueError; its message."""
    try:
        member.tokens.GPT2Tokenizer.from_folder(path)
    except MemberRaised as error:
        if error.todo:
            raise
        message, kinds = error.message, (error.type, *error.kinds)
    else:
        message, kinds = "", ("no error",)
    expect.that("ValueError" in kinds, say, got=kinds[0])
    return message
