"""The reference's three trainers against the definition, written out once more, and against Hugging Face's."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics
from types import ModuleType

import pytest
import regex
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext.openai_public import r50k_pat_str

Load = Callable[[str], ModuleType]
Pair = tuple[bytes, bytes]


# --- the definition: words are lists of bytes, and every merge counts everything again ------------------------


def pair_counts(split: list[list[bytes]], frequency: list[int]) -> Counter[Pair]:
    counts: Counter[Pair] = Counter()
    for pieces, n in zip(split, frequency, strict=True):
        for i in range(1, len(pieces)):
            counts[pieces[i - 1], pieces[i]] += n
    return counts


def joined(pieces: list[bytes], pair: Pair) -> list[bytes]:
    out: list[bytes] = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def definition(words: dict[bytes, int], n_merges: int) -> Iterator[tuple[Pair, bool]]:
    """The merges, each with whether it was the only pair with the highest count."""
    split, frequency = [[bytes([byte]) for byte in word] for word in words], list(words.values())
    for _ in range(n_merges):
        counts = pair_counts(split, frequency)
        if not counts:
            return
        highest = max(counts.values())
        tied = sorted(pair for pair, count in counts.items() if count == highest)
        split = [joined(pieces, tied[-1]) for pieces in split]
        yield tied[-1], len(tied) == 1


def merges_by_definition(words: dict[bytes, int], n_merges: int) -> list[Pair]:
    return [merge for merge, _ in definition(words, n_merges)]


# --- merges --------------------------------------------------------------------------------------------------

# Few letters make many ties and runs; "é" and "ê" share their first byte, "€" has three; \xff comes last.
WORDS = st.one_of(
    st.text("a", min_size=1, max_size=12),
    st.text("ab", min_size=1, max_size=12),
    st.text("abcdé", min_size=1, max_size=10),
    st.text(" ab\néê€\U0001f600", min_size=1, max_size=8),
).map(str.encode) | st.binary(min_size=1, max_size=6)


@settings(max_examples=400, deadline=None)
@given(words=st.dictionaries(WORDS, st.integers(1, 4), max_size=8), n=st.integers(0, 30))
def test_merges_of_words_are_those_of_the_definition(
    reference: Load, words: dict[bytes, int], n: int
) -> None:
    before = dict(words)
    expected = merges_by_definition(words, n)
    assert reference("words").learn_merges(words, n) == expected
    assert reference("fast").learn_merges(words, n) == expected
    assert words == before


@settings(max_examples=200, deadline=None)
@given(
    text=st.text("aab", max_size=40) | st.text("abc é€", max_size=40) | st.text(max_size=20),
    n=st.integers(0, 45),
)
def test_merges_of_a_text_are_those_of_the_definition(reference: Load, text: str, n: int) -> None:
    expected = merges_by_definition({text.encode(): 1}, n)
    assert reference("pairs").learn_merges(text, n) == expected
    assert reference("fast").learn_merges({text.encode(): 1}, n) == expected


def test_merges_of_english_prose_are_those_of_the_definition(reference: Load) -> None:
    counted = reference("fast").count_words(sorted(topics.values())[:25])
    expected = merges_by_definition(counted, 100)
    assert len(set(expected)) == 100
    assert reference("words").learn_merges(counted, 100) == expected
    assert reference("fast").learn_merges(counted, 1000)[:100] == expected


def test_fast_merges_are_words_merges_until_no_pair_is_left(reference: Load) -> None:
    rng = random.Random(1)
    for _ in range(10):
        words = {bytes(rng.choices(b"aaabc", k=rng.randint(1, 15))): rng.randint(1, 9) for _ in range(40)}
        slow = reference("words").learn_merges(words, 10_000)
        assert reference("fast").learn_merges(words, 10_000) == slow
        assert {left + right for left, right in slow} >= {word for word in words if len(word) > 1}


# --- Hugging Face's trainer, which settles ties in another way: compared up to the first tie ------------------


def hugging_face_merges(texts: list[str], n_merges: int, byte_of: dict[str, bytes]) -> list[Pair]:
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=256 + n_merges,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    model.train_from_iterator(texts, trainer)

    def piece(printable: str) -> bytes:
        return b"".join(byte_of[character] for character in printable)

    return [(piece(left), piece(right)) for left, right in json.loads(model.to_str())["model"]["merges"]]


@pytest.fixture(scope="module")
def byte_of(gpt2_files: tuple[Path, Path], gpt2_encoding: tiktoken.Encoding) -> dict[str, bytes]:
    """GPT-2's printable characters, as tiktoken reads them: its first 256 tokens are the bytes."""
    encoder = json.loads(gpt2_files[0].read_text(encoding="utf-8"))
    return {piece: gpt2_encoding.decode_single_token_bytes(id) for piece, id in encoder.items() if id < 256}


def compare_up_to_the_first_tie(
    learn: Callable[[dict[bytes, int], int], list[Pair]],
    counted: dict[bytes, int],
    theirs: list[Pair],
) -> int:
    """How many merges there are before the first tie. All of them must agree."""
    n = 0
    for _, alone in definition(counted, len(theirs)):
        if not alone:
            break
        n += 1
    assert learn(counted, len(theirs))[:n] == theirs[:n]
    return n


def test_prose_gives_hugging_faces_merges(reference: Load, byte_of: dict[str, bytes]) -> None:
    texts = list(topics.values())
    fast = reference("fast")
    theirs = hugging_face_merges(texts, 100, byte_of)
    assert compare_up_to_the_first_tie(fast.learn_merges, fast.count_words(texts), theirs) >= 60


def test_words_with_counts_far_apart_give_hugging_faces_merges(
    reference: Load, byte_of: dict[str, bytes]
) -> None:
    """Counts that are drawn from thousands are seldom equal, so that ties come late."""
    fast, rng, compared = reference("fast"), random.Random(2), 0
    for _ in range(5):
        words = [" " + "".join(rng.choices("aabcde", k=rng.randint(1, 3))) for _ in range(200)]
        texts = [word * rng.randint(1, 3000) for word in words]
        theirs = hugging_face_merges(texts, 60, byte_of)
        compared += compare_up_to_the_first_tie(fast.learn_merges, fast.count_words(texts), theirs)
    assert compared >= 200


# --- worked examples ------------------------------------------------------------------------------------------


def test_the_example_of_wikipedia(reference: Load) -> None:
    """In the second step "aa" + "a" and "a" + "b" tie, and the greater one is taken; the ids are the same either way."""
    merges = reference("pairs").learn_merges("aaabdaaabac", 3)
    assert merges == [(b"a", b"a"), (b"aa", b"a"), (b"aaa", b"b")]
    tok = reference("tokenizer").BPETokenizer.from_merges(merges, pattern=None)
    assert tok.encode("aaabdaaabac") == [258, 100, 258, 97, 99]


def test_the_example_of_sennrich_and_others(reference: Load) -> None:
    words = {b"low": 5, b"lower": 2, b"widest": 3, b"newest": 6}
    expected = [(b"s", b"t"), (b"e", b"st"), (b"o", b"w"), (b"l", b"ow"), (b"w", b"est"), (b"n", b"e")]
    for module in ("words", "fast"):
        assert reference(module).learn_merges(words, 6) == expected


# --- counting words -------------------------------------------------------------------------------------------


def words_by_definition(texts: list[str], special: list[str]) -> dict[bytes, int]:
    counts: Counter[bytes] = Counter()
    for text in texts:
        start, i = 0, 0
        while i <= len(text):
            found = max((token for token in special if text.startswith(token, i)), key=len, default="")
            if found or i == len(text):
                counts.update(word.encode() for word in regex.findall(r50k_pat_str, text[start:i]))
                start = i + len(found)
            i += len(found) or 1
    return dict(counts)


SPECIAL = ["<|endoftext|>", "<|end|>", "<|end|><|of|>"]
PIECES = st.sampled_from([*SPECIAL, "<|", "'ll", "'", " ", "  \n", "don't", "l", "é", "9", "语", "x<y"])
TEXTS = st.lists(st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=10), max_size=5)


@settings(max_examples=300, deadline=None)
@given(texts=TEXTS)
def test_words_are_counted_between_special_tokens(reference: Load, texts: list[str]) -> None:
    expected = words_by_definition(texts, SPECIAL)
    assert reference("fast").count_words(texts, special_tokens=SPECIAL) == expected
    assert reference("words").count_words(texts) == words_by_definition(texts, [])
    assert reference("fast").count_words(iter(texts)) == words_by_definition(texts, [])


def test_counts_do_not_depend_on_the_number_of_processes(
    reference: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(3)
    pieces = ["one", " two", " naïve", "'s", "<|end|>", "<|end|><|of|>", "\n\n", " 12", "  "]
    texts = ["".join(rng.choices(pieces, k=rng.randint(0, 60))) for _ in range(300)]
    fast = reference("fast")
    monkeypatch.setattr(fast, "BATCH_CHARACTERS", 997)
    expected = words_by_definition(texts, SPECIAL)
    for workers in (1, 2, 3):
        assert fast.count_words(iter(texts), special_tokens=SPECIAL, workers=workers) == expected


def test_texts_are_read_as_they_are_needed(reference: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each text is counted before the next one is read."""
    words, read, seen = reference("words"), 0, []
    whole = words.find_words

    def texts() -> Iterator[str]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield "word " * 20

    def find_words(*arguments: object) -> list[str]:
        seen.append(read)
        result: list[str] = whole(*arguments)
        return result

    monkeypatch.setattr(words, "find_words", find_words)
    assert reference("fast").count_words(texts())[b" word"] == 100 * 19
    assert seen == list(range(1, 101))


@pytest.mark.parametrize("special", [("<|endoftext|>",), ("<|end|>", "<|end|><|of|>"), ("ab", "abab")])
def test_nothing_is_learned_from_special_tokens(reference: Load, special: tuple[str, ...]) -> None:
    texts = [f"x{special[-1]}y{special[0]}" * 50 + "z", special[0] * 9, f"z{special[-1]}"]
    tok = reference("tokenizer").BPETokenizer.train(texts, 300, special_tokens=special)
    assert tok.merges == []  # what is left is x, y and z, each alone
    assert len(tok.vocab) == 256 + len(special)
    assert [tok.vocab[256 + i] for i in range(len(special))] == [token.encode() for token in special]
    expected = [256 + len(special) - 1, ord("q"), 256]
    assert tok.encode(f"{special[-1]}q{special[0]}", allowed_special="all") == expected


def test_a_vocabulary_has_the_size_that_was_asked_for(reference: Load) -> None:
    tokenizer = reference("tokenizer").BPETokenizer
    texts = list(topics.values())[:20]
    for size in (257, 258, 400):
        tok = tokenizer.train(texts, size)
        assert sorted(tok.vocab) == list(range(size))
        assert tok.vocab[size - 1] == b"<|endoftext|>"
        assert len(tok.merges) == size - 257
    with pytest.raises(ValueError, match="257"):
        tokenizer.train(texts, 256)
    with pytest.raises(TypeError, match="one string"):
        tokenizer.train("one text", 300)
