"""Step `special`: special tokens, training with them, and text that only looks like one."""

from bpe_oracle import counted, encode, english, learn, pieces_of, tokens

from cohort_cli.checking.authoring import check

END = "<|endoftext|>"


def with_special(member, special=(END,), merges=((b"a", b"b"), (b"<", b"|"), (b" ", b"<|"))):
    merges = list(merges)
    tok = member.tokenizer.BPETokenizer(pieces_of(merges, special), merges, list(special))
    return tok, merges, pieces_of(merges, special)


def split_of(text, special):
    """The definition: at each place the longest special token that fits."""
    parts, start, i = [], 0, 0
    while i < len(text):
        fits = [token for token in special if text.startswith(token, i)]
        if fits:
            token = max(fits, key=len)
            parts += [(text[start:i], False)] * (i > start) + [(token, True)]
            i += len(token)
            start = i
        else:
            i += 1
    return parts + [(text[start:], False)] * (start < len(text))


@check("special-split", title="a text is cut at its special tokens")
def test_special_split(member, expect):
    """(part, whether it is a special token), in order and without empty parts. White space around them stays.

    A special token may hold characters that mean something in a pattern, such as | and *.
    """
    for text, special in (
        (f"one{END}two", [END]),
        (f"{END}{END} a \n{END}", [END]),
        ("no special token", [END]),
        ("", [END]),
        ("plain", []),
        ("a*b**c|d", ["**", "|"]),
        ("x[PAD]y(PAD)", ["[PAD]"]),
        ("x[PAD]y(PAD)", ["(PAD)"]),
        ("<a b><ab><A B>", ["<a b>"]),
    ):
        got = list(member.words.split_special(text, special))
        expect.equal(got, split_of(text, special), say=f"{text!r}, cut at {special}.")


@check("special-longest", title="of two special tokens the longer one counts", needs=["special-split"])
def test_special_longest(member, expect):
    """<|a|> is also the beginning of <|a|><|b|>. Where both fit, the longer one is meant, whatever their order is.

    That is for one place. Of two places the one on the left comes first.
    """
    for special in (["<|a|><|b|>", "<|a|>"], ["<|a|>", "<|a|><|b|>"], ["aa", "a", "aaa"]):
        text = "x<|a|><|b|>y<|a|>aaaa"
        got = list(member.words.split_special(text, special))
        expect.equal(got, split_of(text, special), say=f"{text!r}, cut at {special}.")
    got = list(member.words.split_special("abcd", ["ab", "bcd"]))
    expect.equal(got, [("ab", True), ("cd", False)], say="'abcd', cut at ab and bcd.")


@check("special-ids", title="a special token is one id", needs=["special-split", "codec-bytes"])
def test_special_ids(member, expect):
    """allowed_special="all" turns each special token into its own id; decoding gives its text back.

    A special token that the vocabulary lacks gets the next free id, and stands in vocab.
    """
    tok, merges, vocab = with_special(member, (END, "<|user|>"))
    text = f"ab {END}<|user|> ab"
    want = [256, 32, 259, 260, 32, 256]
    expect.ids(
        tok.encode(text, allowed_special="all"), want, tokens(merges, vocab), say=f"Encoding {text!r}."
    )
    expect.equal(tok.decode(want), text, say="Decoding it.")
    tok = member.tokenizer.BPETokenizer(pieces_of(merges), merges, [END])
    got = tok.encode(f"ab{END}", allowed_special="all")
    expect.ids(
        got, [256, 259], tokens(merges, pieces_of(merges, [END])), say="A special token that vocab lacked."
    )
    expect.equal(member.get(tok, "vocab").get(259), END.encode(), say="vocab[259] after it was added.")


@check("special-text", title="text that looks like one stays text", needs=["special-ids"])
def test_special_text(member, expect):
    """Whoever writes "<|endoftext|>" in a chat must not be able to end the text. So the default is "none": plain text.

    The same for each special token that is not in the set that was allowed.
    """
    tok, merges, vocab = with_special(member, (END, "<|user|>"))
    text = f"ab{END} <|user|>"
    want = encode(text, merges, pieces_of(merges))
    for allowed in ({}, {"allowed_special": "none"}, {"allowed_special": set()}):
        got = tok.encode(text, **allowed)
        expect.ids(
            got, want, tokens(merges, vocab), say=f"Encoding {text!r} with {allowed or 'the default'}."
        )
    expect.equal(tok.decode(want), text, say="Decoding it.")
    got = tok.encode(text, allowed_special={"<|user|>"})
    want = [*encode(f"ab{END} ", merges, pieces_of(merges)), 260]
    expect.ids(got, want, tokens(merges, vocab), say=f"Encoding {text!r} with only <|user|> allowed.")
    got = tok.encode(text, allowed_special="all")
    expect.ids(got, [256, 259, 32, 260], tokens(merges, vocab), say="The same text again, with all allowed.")


@check("special-allowed", title="only special tokens can be allowed", needs=["special-ids"])
def test_special_allowed(member, expect):
    """A name that is no special token of this tokenizer is a ValueError: a typing error there would pass unnoticed.

    A string other than "all" and "none" is one too: allowed_special="<|endoftext|>" would be a set of letters.
    """
    tok, _, _ = with_special(member)
    for allowed in ({"<|endoftxt|>"}, {END, "<|user|>"}, END, "All", {"end"}, {"all"}):
        say = f"allowed_special={allowed!r} is a ValueError."
        expect.raises(tok.encode, "ab", allowed_special=allowed, say=say)


@check(
    "train-size",
    title="the vocabulary has the size that was asked for",
    needs=["special-ids", "words-merges"],
)
def test_train_size(member, expect, rng):
    """256 bytes, then merges, then the special tokens: together exactly vocab_size.

    With vocab_size = 256 + the number of special tokens nothing is learned. Less is a ValueError.
    """
    train = member.tokenizer.BPETokenizer.train
    text = english(rng.random, 200)
    for size, special in ((300, [END]), (290, []), (280, [END, "<|user|>"]), (257, [END]), (256, [])):
        tok = train([text], size, special_tokens=special)
        vocab = member.get(tok, "vocab")
        expect.equal(
            len(vocab), size, say=f"len(vocab) with vocab_size={size} and {len(special)} special tokens."
        )
        n_merges = len(member.get(tok, "merges"))
        expect.equal(n_merges, size - 256 - len(special), say=f"The number of merges with vocab_size={size}.")
        last = [vocab.get(size - len(special) + i) for i in range(len(special))]
        expect.equal(last, [token.encode() for token in special], say="The last ids are the special tokens.")
    tok = train(["ab"], 300)
    expect.equal(
        member.get(tok, "vocab").get(257), END.encode(), say="vocab[257] when 'ab' has only one merge."
    )
    expect.equal(len(member.get(tok, "vocab")), 258, say="len(vocab) when 'ab' has only one merge.")
    expect.raises(train, [text], 255, special_tokens=[], say="vocab_size=255 has no room for the bytes.")
    expect.raises(train, [text], 256, say="vocab_size=256 has no room for <|endoftext|>.")


@check("train-values", title="the merges of several documents", needs=["train-size"])
def test_train_values(member, expect, rng):
    """Counts of words over all documents, the default pattern, the greater pair in a tie; and encoding with them."""
    docs = [english(rng.random, 80) for _ in range(4)]
    tok = member.tokenizer.BPETokenizer.train(member.feed(docs), 320)  # they can be read once
    words = {}
    for doc in docs:
        for word, count in counted(doc).items():
            words[word] = words.get(word, 0) + count
    merges = learn(words, 320 - 257)
    expect.merges(list(member.get(tok, "merges")), merges, say="The merges.")
    want = encode(docs[0], merges, pieces_of(merges))
    expect.ids(tok.encode(docs[0]), want, tokens(merges), say=f"Encoding {docs[0][:40]!r}….")
    tok = member.tokenizer.BPETokenizer.train(["ab ab", "b a"], 260, special_tokens=[], pattern=None)
    expect.merges(
        member.get(tok, "merges"), learn({b"ab ab": 1, b"b a": 1}, 4), say="The merges without a pattern."
    )
    got = tok.encode("b ab")
    want = encode(
        "b ab", learn({b"ab ab": 1, b"b a": 1}, 4), pieces_of(learn({b"ab ab": 1, b"b a": 1}, 4)), None
    )
    expect.equal(got, want, say="Encoding 'b ab' without a pattern, as it was trained.")


@check("train-special-text", title="special tokens teach nothing", needs=["train-size"])
def test_train_special_text(member, expect):
    """They are cut out of the texts before anything is counted: no token may contain a piece of "<|endoftext|>".

    And what stands on both sides is not glued together: "ca" and "ts" are two ends, "cats" was never seen.
    """
    docs = [f"ab ab{END}ab cd cd", f"ca{END}ts ca{END}ts", f"{END}{END}xy"]
    tok = member.tokenizer.BPETokenizer.train(docs, 300)
    words = {}
    for text in ("ab ab", "ab cd cd", "ca", "ts ca", "ts", "xy"):
        for word, count in counted(text).items():
            words[word] = words.get(word, 0) + count
    expect.merges(list(member.get(tok, "merges")), learn(words, 43), say=f"The merges of {docs}.")


@check("train-documents", title="documents are not glued together", needs=["train-size"])
def test_train_documents(member, expect, rng):
    """The last word of one document and the first of the next are two words. Twice "a", "b" never gives "ab"."""
    docs = ["xa", "bx"] * 6 + ["xab", "  ", " y"]
    tok = member.tokenizer.BPETokenizer.train(docs, 300, special_tokens=[])
    words = {}
    for doc in docs:
        for word, count in counted(doc).items():
            words[word] = words.get(word, 0) + count
    expect.merges(list(member.get(tok, "merges")), learn(words, 44), say=f"The merges of {docs}.")


@check("train-one-string", title="one string is not a list of texts", needs=["train-size"])
def test_train_one_string(member, expect):
    """A string is an iterable of letters. Without a TypeError every letter would be a document, and nothing learned."""
    train = member.tokenizer.BPETokenizer.train
    expect.raises(
        train, "one long text", 300, kinds=("TypeError",), say="A string in place of texts: a TypeError."
    )
