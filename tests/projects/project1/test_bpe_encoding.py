"""The reference's encoder against tiktoken, and what holds for every text: round trips, streams, special tokens."""

from __future__ import annotations

import random
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

Load = Callable[[str], ModuleType]

TEXTS = {
    "Latin": "Çağrı déjà-vu: Łódź, København, Ångström, Šárka's naïve façade; tiếng Việt, Straße, œuvre.",
    "decomposed": unicodedata.normalize("NFD", "Ça déjà, Ångström, tiếng Việt, Škoda"),
    "Cyrillic": "Мы учим слова по слогам, а машина собирает их из байтов: съёмка, объём, її ґанок, Ђорђе.",
    "Greek": "Κάθε λέξη χωρίζεται σε μικρά κομμάτια· ένα, δύο, τρία… Ἐν ἀρχῇ ἦν ὁ λόγος;",
    "Arabic": "نقسم النص إلى كلمات، ثم إلى بايتات. كم عددها؟ ١٢٣ وَكَتَبَ الطّالِبُ دَرْسَهُ.",
    "Hebrew": "אנחנו קוראים את הטקסט מימין לשמאל, מילה אחר מילה. שָׁלוֹם עֲלֵיכֶם!",
    "Devanagari": "हम हर शब्द को छोटे टुकड़ों में बाँटते हैं। क्षत्रिय, ज्ञान, १२३४ और श्रीमती।",
    "Thai": "ภาษาไทยเขียนติดกันโดยไม่เว้นวรรค ดังนั้นคำหนึ่งคำจึงยาวมาก ๑๒๓",
    "Chinese": "我们把每一句话切成小块,再数一数有多少个。一二三,繁體字也要試一試!〇",
    "Japanese": "文章を小さな部分に分けて、数えてみましょう。カタカナ、ひらがな、漢字、ゞ、㍿、半角カナ。",
    "Korean": "우리는 글을 작은 조각으로 나누고 그 수를 셉니다. 조합형 한글도요: 한글.",
    "more scripts": "Բարեւ ქართული தமிழ்நாடு বাংলা ភាសាខ្មែរ አማርኛ ᏣᎳᎩ ᐃᓄᒃᑎᑐᑦ མཚོ ⴰⵎⴰⵣⵉⵖ 𐌲𐌿𐍄𐌹𐍃𐌺 𒀭𒈹",
    "emoji": "👩🏽‍💻👨‍👩‍👧‍👦 🏴󠁧󠁢󠁷󠁬󠁳󠁿 🇳🇴🇯🇵 ❤️‍🔥 ✊🏿 1️⃣ #️⃣ ☺︎ 🧑‍🚀's",
    "numbers": "3.14159 ½ ²³ Ⅻ ٣٤ 1e-10 0x1F 1,000,000 99% ④ ㉛ 𝟘𝟙 10⁻³",
    "contractions": "I'm we're he'd it's they'll don't I've I'M WE'RE 'tis ''s 's'll'' rock'n'roll y'all'd've 's",
    "Python": (
        "def f(x: int = 0x_ff, *args, **kw) -> list[str]:\n"
        "    '''It isn't \"much\".'''\n"
        "\tif x != -1 and not (x << 2) % 3:\n"
        "        return [f'{i!r:>{x}}' for i in range(x)]  # TODO: e = m*c**2\n\n\n"
        "class __A__(object): pass;a_b=lambda _:_@_\n"
    ),
    "white space": "  a   b\t\tc \n \n\n d\u00a0e\u00a0\u00a0f\u2003g\u3000\u3000h\v\fi\x85j\u2028k\x1cl\u200bn\ufeff  ",
    "CRLF": "first\r\nsecond\r\n\r\n  third \r\n\rfourth\n\rfifth\r\n",
    "controls": "\x00\x01a\x7f\x80\x9fb\x1b[0m\u200e\u202ec\u2066",
    "special": "<|endoftext|> <|endoftext|><|im_start|> <|endoftext",
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_have_the_ids_of_tiktoken(gpt2: Any, gpt2_encoding: tiktoken.Encoding, name: str) -> None:
    for text in (TEXTS[name], " " + TEXTS[name], TEXTS[name].upper() + "\n", TEXTS[name] * 3 + "  "):
        ids = gpt2.encode(text)
        assert ids == gpt2_encoding.encode_ordinary(text)
        assert gpt2.decode(ids) == text


ASSIGNED = [
    chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) not in ("Cn", "Cs")
]
SPACES = [character for character in ASSIGNED if character.isspace()] + ["\u200b", "\ufeff", "\u180e"]
POOLS: dict[str, list[str]] = {
    "assigned": ASSIGNED,
    "below U+0800": [character for character in ASSIGNED if character < "\u0800"],
    "ASCII": list(map(chr, range(128))),
    "ASCII white space": list("   \t\n\r\v\f\x00\x1c\x1d\x1e\x1fa1!"),
    "letters and spaces": list("etaoin shrdlu ETA  \n"),
    "white space": [*SPACES, *" \n\t " * 8, "a", "é", "1", "!"],
    "contractions": [*"''' sSlrxé1  \n’", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "’s", "l"],
    "scripts": [letter for text in TEXTS.values() for letter in text if not letter.isascii()] + [" "] * 200,
    "words of scripts": [word for text in TEXTS.values() for word in text.split()] + [" ", "\n", "  "] * 20,
    "emoji": [*"👩👨👧🏽🏿💻🚀🔥❤🏴🇳🇴🧑", *"\u200d\ufe0f\ufe0e\u20e3\U000e0067\U000e007f 1"],
    "code": [*re.split(r"( +|\n\s*|\W)", TEXTS["Python"]), "\t", "\r\n", "        ", "0x1F", "1e-5"],
}  # fmt: skip


def strings(pool: list[str], seed: int, count: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(count):
        yield "".join(rng.choices(pool, k=rng.choice((1, 2, 3, 5, 8, 20, 60))))


@pytest.mark.parametrize("pool", POOLS)
def test_generated_strings_have_the_ids_of_tiktoken(
    gpt2: Any, gpt2_encoding: tiktoken.Encoding, pool: str
) -> None:
    """1,200 for each pool."""
    for text in strings(POOLS[pool], seed=len(pool), count=1200):
        assert gpt2.encode(text) == gpt2_encoding.encode_ordinary(text), ascii(text)


def test_the_pools_hold_what_they_promise() -> None:
    assert len(POOLS) * 1200 >= 10_000
    assert len(ASSIGNED) > 250_000
    assert {"\x1c", "\x85", "\u2028", "\u3000"} <= set(SPACES)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60))
def test_every_text_comes_back(gpt2: Any, small: Any, text: str) -> None:
    for tok in (gpt2, small):
        assert tok.decode(tok.encode(text)) == text
        assert tok.decode(tok.encode(text, allowed_special="all"), errors="strict") == text


def test_every_bytes_come_back(gpt2: Any, small: Any) -> None:
    """Bytes that are no text: merged as one word, and decoded as bytes.decode does it."""
    rng = random.Random(4)
    for n in range(1000):
        data = (
            rng.randbytes(n % 250) if n % 2 else bytes(rng.choices(b"ab \xc3\xa9\xe2\x82\xf0\x9f", k=n % 250))
        )
        for tok in (gpt2, small):
            ids = tok.merge_word(data)
            assert b"".join(tok.vocab[id] for id in ids) == data
            assert tok.decode(ids) == data.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "data", [b"\xff", b"a\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x28\xa1"]
)
def test_bytes_that_are_not_utf8(reference: Load, gpt2: Any, data: bytes) -> None:
    """Each broken sequence becomes U+FFFD where errors are replaced, and is refused where they are not."""
    ids = [gpt2.merge_word(bytes([byte]))[0] for byte in data]
    assert "\ufffd" in gpt2.decode(ids)
    assert gpt2.decode(ids) == data.decode("utf-8", "replace")
    assert reference("pairs").bytes_to_text(list(data)) == data.decode("utf-8", "replace")
    with pytest.raises(ValueError, match="utf-8"):
        gpt2.decode(ids, errors="strict")


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "x \ud83d", "\ude00\ud83d"])
def test_half_a_surrogate_pair_is_refused(reference: Load, small: Any, text: str) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        small.encode(text)
    with pytest.raises(ValueError, match="surrogate"):
        list(small.encode_iterable([text]))
    with pytest.raises(ValueError, match="surrogate"):
        reference("pairs").text_to_bytes(text)


def test_an_unknown_id_is_refused(small: Any) -> None:
    for id in (-1, max(small.vocab) + 1, "a"):
        with pytest.raises(ValueError, match=f"{id!r}"):
            small.decode([97, id])


# --- long words -----------------------------------------------------------------------------------------------


LONG_WORDS = {
    "one letter": "a" * 120_000,
    "spaces": " " * 120_000 + "x",
    "two bytes": "é" * 60_000,
    "three bytes": "語" * 40_000,
    "signs": "=-" * 60_000,
    "two letters": "".join(random.Random(5).choices("ab", k=120_000)),
    "all letters": "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz", k=120_000)),
}


@pytest.mark.parametrize("name", LONG_WORDS)
def test_a_word_of_120_000_bytes(gpt2: Any, gpt2_encoding: tiktoken.Encoding, name: str) -> None:
    """It takes some tenths of a second; were that to grow with the square of the length, many seconds."""
    started = time.process_time()
    ids = gpt2.encode(LONG_WORDS[name])
    assert time.process_time() - started < 5
    assert ids == gpt2_encoding.encode_ordinary(LONG_WORDS[name])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_the_heap_merges_as_the_plain_loop_does(
    reference: Load, gpt2: Any, small: Any, data: st.DataObject
) -> None:
    tokenizer = reference("tokenizer")
    limit = tokenizer.LONG
    size = data.draw(st.integers(0, 8) | st.integers(limit - 3, limit + 3))
    letters = data.draw(st.sampled_from([b"a", b"ab", b"the lowrs", b" \n", b"\xc3\xa9a"]))
    word = bytes(data.draw(st.lists(st.sampled_from(letters), min_size=size, max_size=size)))
    for tok in (gpt2, small):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tokenizer, "LONG", 10**9)
            plain = tok.merge_word(word)
            patch.setattr(tokenizer, "LONG", 0)
            heap = tok.merge_word(word)
        assert plain == heap == tok.merge_word(word)


def test_memory_for_words_is_bounded(reference: Load, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference("tokenizer"), "CACHED_WORDS", 50)
    tok = reference("tokenizer").BPETokenizer(small.vocab, small.merges)
    text = (
        " ".join(f"w{'x' * (n % 40)}{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(300))
        + " "
        + "x" * 999
    )
    first = tok.encode(text)
    assert len(tok._cache) == 50
    assert tok.encode(text) == first
    assert tok.decode(first) == text


# --- special tokens -------------------------------------------------------------------------------------------

PIECES = [
    "<|endoftext|>", "<|end|>", "<|of|>", "<|end|><|of|>", "<", "<|", "|>", "end", "\n\n", "\n", "'", "l", "'ll", "s",
    " ", "  ", "the", " lowest", "é", "語", "\u00a0", "12", "!", "👩🏽‍💻",
]  # fmt: skip
PIECED = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
ALLOWED = st.sampled_from(["all", "none"]) | st.sets(
    st.sampled_from(["<|endoftext|>", "<|end|>", "<|end|><|of|>", "<", "\n\n"])
)


def by_hand(tok: Any, text: str, allowed: set[str]) -> list[int]:
    """Look for a special token at every place; the longest one counts."""
    ids: list[int] = []
    start, i = 0, 0
    while i <= len(text):
        found = max((token for token in allowed if text.startswith(token, i)), key=len, default="")
        if found or i == len(text):
            ids += tok.encode(text[start:i])
            ids += [id for id, piece in sorted(tok.vocab.items()) if found and piece == found.encode()][-1:]
            start = i + len(found)
        i += len(found) or 1
    return ids


@settings(max_examples=400, deadline=None)
@given(text=PIECED, allowed=ALLOWED)
def test_allowed_special_tokens_become_their_own_id(small: Any, text: str, allowed: Any) -> None:
    ids = small.encode(text, allowed_special=allowed)
    chosen = (
        {"all": set(small.special_tokens), "none": set()}[allowed] if isinstance(allowed, str) else allowed
    )
    assert ids == by_hand(small, text, chosen)
    assert small.decode(ids) == text


def test_a_text_cannot_smuggle_in_a_special_token(gpt2: Any, gpt2_encoding: tiktoken.Encoding) -> None:
    text = "a<|endoftext|>b"
    assert 50256 not in gpt2.encode(text)
    assert gpt2.encode(text) == gpt2_encoding.encode_ordinary(text)
    assert gpt2.encode(text, allowed_special={"<|endoftext|>"}) == [64, 50256, 65]
    assert gpt2.encode(text, allowed_special=set()) == gpt2.encode(text, allowed_special="none")
    assert list(gpt2.encode_iterable(["a<|end", "oftext|>b"])) == gpt2.encode(text)


def test_the_longest_special_token_counts(small: Any) -> None:
    size = len(small.vocab)  # the special tokens are the last five, in the order in which they were given
    end, both = size - 4, size - 3
    assert (small.vocab[end], small.vocab[both]) == (b"<|end|>", b"<|end|><|of|>")
    assert small.encode("<|end|><|of|>", allowed_special="all") == [both]
    assert small.encode("<|end|><|end|>", allowed_special="all") == [end, end]
    assert small.encode("<|end|><|of|>", allowed_special={"<|end|>"}) == [end, *small.encode("<|of|>")]


@pytest.mark.parametrize("allowed", [{"<|nothing|>"}, {"<|end|>", "the"}, "some", "<|end|>"])
def test_what_is_no_special_token_cannot_be_allowed(small: Any, allowed: Any) -> None:
    with pytest.raises(ValueError, match="special"):
        small.encode("the", allowed_special=allowed)
    with pytest.raises(ValueError, match="special"):
        list(small.encode_iterable(["the"], allowed_special=allowed))


# --- streams --------------------------------------------------------------------------------------------------


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted(place % (len(text) + 1) for place in places)
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


@settings(max_examples=600, deadline=None)
@given(text=PIECED | st.text(max_size=30), places=st.lists(st.integers(0, 200), max_size=12), allowed=ALLOWED)
def test_a_stream_has_the_ids_of_the_whole_text(
    small: Any, text: str, places: list[int], allowed: Any
) -> None:
    expected = small.encode(text, allowed_special=allowed)
    assert list(small.encode_iterable(cut(text, places), allowed_special=allowed)) == expected
    assert list(small.encode_iterable(text, allowed_special=allowed)) == expected  # letter by letter


def test_a_stream_of_texts_in_many_scripts(gpt2: Any, gpt2_encoding: tiktoken.Encoding) -> None:
    whole = "\n".join(TEXTS.values())
    for seed in range(5):
        rng = random.Random(seed)
        pieces = cut(whole, [rng.randrange(len(whole)) for _ in range(3 ** (seed + 1))])
        assert list(gpt2.encode_iterable(pieces)) == gpt2_encoding.encode_ordinary(whole)


def test_a_stream_is_not_read_ahead(small: Any) -> None:
    read = 0

    def pieces() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield " the lowest"

    ids = small.encode_iterable(pieces())
    for number in range(1, 200):
        next(ids)
        assert read <= number + 3
    ids.close()


def test_a_stream_without_a_pattern_is_one_word(reference: Load, small: Any) -> None:
    tok = reference("tokenizer").BPETokenizer(small.vocab, small.merges, small.special_tokens, pattern=None)
    pieces = ["the low", "est<|e", "nd|>", "", "the"]
    for allowed in ("all", "none"):
        expected = tok.encode("".join(pieces), allowed_special=allowed)
        assert list(tok.encode_iterable(pieces, allowed_special=allowed)) == expected
