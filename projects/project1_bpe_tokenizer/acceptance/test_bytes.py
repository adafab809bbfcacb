"""Step `bytes`: from text to UTF-8 and back."""

from bpe_oracle import mixed_text

from cohort_cli.checking.authoring import check


@check("bytes-values", title="a text is its UTF-8 bytes")
def test_bytes_values(member, expect):
    """An ASCII letter is one byte, é two, the euro sign three, a smiley four. Numbers from 0 to 255, in a list.

    `ord` gives the number of the character instead, up to 1,114,111: a vocabulary could never hold them all.
    """
    for text in ("hi", "5 € for 😀", "hé", "日本", ""):
        got = member.pairs.text_to_bytes(text)
        expect.equal(got, list(text.encode()), say=f"The bytes of {text!r}.")


@check("bytes-exact", title="nothing is cleaned up", needs=["bytes-values"])
def test_bytes_exact(member, expect):
    """Spaces at both ends, line ends of Windows, and an e with a separate accent stay as they are.

    A tokenizer that tidies its input cannot give it back, and a model that reads code needs every space.
    """
    for text, what in (
        ("  two spaces at each end  ", "Spaces at both ends"),
        ("a\r\nb\rc\n", "Line ends of other systems"),
        ("e\u0301 and \u00e9, \ufb01", "Accents and ligatures"),
        ("\ufeffhi\x00", "A byte order mark and a zero"),
    ):
        got = member.pairs.text_to_bytes(text)
        expect.equal(got, list(text.encode()), say=f"{what} must stay as they are: {text!r}.")


@check("bytes-back", title="bytes become the same text again", needs=["bytes-values"])
def test_bytes_back(member, expect, rng):
    """Any text comes back, character for character, from its bytes: several bytes together may be one character."""
    for text in ("", "hé €😀", mixed_text(rng.random, 60)):
        got = member.pairs.bytes_to_text(list(text.encode()))
        expect.equal(got, text, say=f"The text of {list(text.encode())[:12]}…")


@check("bytes-broken", title="bytes that are no text become U+FFFD", needs=["bytes-back"])
def test_bytes_broken(member, expect):
    """A model can produce any bytes, half letters too. They must not stop the program, and not vanish.

    Each broken sequence becomes the replacement character U+FFFD. With errors="strict" it is a ValueError.
    """
    for ids in ([255, 104, 105], [0xE2, 0x82], [104, 0xC3, 105], [0x80, 0x80]):
        got = member.pairs.bytes_to_text(ids)
        expect.equal(got, bytes(ids).decode(errors="replace"), say=f"The text of {ids}.")
        expect.raises(
            member.pairs.bytes_to_text, ids, "strict", say=f'{ids} with errors="strict": a ValueError.'
        )


@check("bytes-surrogate", title="half a surrogate pair is refused", needs=["bytes-values"])
def test_bytes_surrogate(member, expect):
    r"""Python's str can hold "\ud800", half of a pair that UTF-16 uses. It is no character, and UTF-8 has no bytes for
    it.

    A ValueError says so (UnicodeEncodeError is one). Putting a "?" there would change the text in silence.
    """
    for text in ("a\ud800b", "\udfff"):
        expect.raises(member.pairs.text_to_bytes, text, say=f"{text!r} is no text: a ValueError.")
