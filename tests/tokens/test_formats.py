"""Other libraries read what we write and give the same ids; we read it back and have the same parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken.load import load_tiktoken_bpe

from cohort_cli.catalog import find_project
from cohort_cli.tokens import formats
from cohort_cli.tokens.client import Coder
from cohort_cli.tokens.formats import Parts

# Every assigned character (libraries differ in how new their Unicode is), and what BPE tokenizers stumble over.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cn", "Co"])
STUMBLES = st.sampled_from(
    ["<|endoftext|>", "<|endof", "  ", "\n\n", "\r\n", " the", "'ll", "aaaa", "-----", "\u00a0", "\u0085",
     "\x1c", "ß", "日本", "👍🏽"]
)  # fmt: skip
TEXTS = st.lists(
    st.text(CHARACTERS, max_size=8) | st.text("ab e\n", max_size=12) | STUMBLES, max_size=12
).map("".join)
BYTES = [bytes([byte]) for byte in range(256)]


def ids(coder: Coder, text: str) -> list[int]:
    return [token.id for token in coder.encode(text, special=True)]


@pytest.fixture(params=["trained", "gpt2"])
def coder(request: pytest.FixtureRequest) -> Coder:
    return request.getfixturevalue(request.param)


def test_the_pattern_here_is_the_references() -> None:
    words = (find_project("project1").reference / "words.py").read_text(encoding="utf-8")
    assert f'GPT2_SPLIT_PATTERN = r"{formats.GPT2_SPLIT_PATTERN}"' in words


# --- Hugging Face -------------------------------------------------------------------------------------------


def test_hugging_face_gives_the_same_ids(coder: Coder, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(formats.to_huggingface(coder.parts), encoding="utf-8")
    other = tokenizers.Tokenizer.from_file(str(path))
    assert other.get_vocab_size() == len(coder.parts.vocab)

    @settings(max_examples=150, deadline=None)
    @given(TEXTS)
    def same(text: str) -> None:
        assert other.encode(text).ids == ids(coder, text)
        assert other.decode(ids(coder, text), skip_special_tokens=False) == text

    same()


@pytest.mark.parametrize("pattern", [None, r"[a-z]+|[^a-z]+", r" ?\p{L}+|\p{N}{1,3}|[^\p{L}\p{N}]+?"])
def test_hugging_face_gives_the_same_ids_with_another_pattern(
    trained: Coder, tmp_path: Path, pattern: str | None
) -> None:
    parts = trained.parts._replace(pattern=pattern)
    path = tmp_path / "tokenizer.json"
    path.write_text(formats.to_huggingface(parts), encoding="utf-8")
    other = tokenizers.Tokenizer.from_file(str(path))
    assert formats.from_huggingface(path.read_text(encoding="utf-8")) == parts
    with Coder(trained.code) as coder:
        coder.open_parts(parts)
        for text in ("for x in range(12345): print(x)\n\n", "the the  the", "Straße 7"):
            assert other.encode(text).ids == ids(coder, text)


def test_what_was_written_for_hugging_face_is_read_back(coder: Coder) -> None:
    assert formats.from_huggingface(formats.to_huggingface(coder.parts)) == coder.parts


def test_what_hugging_face_writes_itself_is_read(trained: Coder, tmp_path: Path) -> None:
    """Its own trainer, its own file: merges are pairs or lines, depending on its version, and both are read."""
    other = tokenizers.Tokenizer(tokenizers.models.BPE())
    other.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|pad one|>"], show_progress=False,
    )  # fmt: skip
    other.train_from_iterator(["the cat that sat on the mat, the hat at that"], trainer)
    content = json.loads(other.to_str())
    lines = json.dumps({**content, "model": {**content["model"], "merges": [
        pair if isinstance(pair, str) else " ".join(pair) for pair in content["model"]["merges"]]}})  # fmt: skip
    parts = formats.from_huggingface(json.dumps(content))
    assert formats.from_huggingface(lines) == parts
    assert parts.special_tokens == ["<|endoftext|>", "<|pad one|>"]
    assert parts.vocab[0] == b"<|endoftext|>"
    with Coder(trained.code) as coder:
        coder.open_parts(parts)
        for text in ("the hat<|pad one|>that <|endoftext|>", "Äh, the mat"):
            assert ids(coder, text) == other.encode(text).ids


def small() -> Parts:
    merges = [(b"a", b"b"), (b"ab", b"c")]
    vocab = dict(enumerate([*BYTES, b"ab", b"abc", b"<|end|>"]))
    return Parts(vocab, merges, ["<|end|>"], formats.GPT2_SPLIT_PATTERN)


def broken(change: Callable[[dict[str, Any]], object]) -> str:
    content = json.loads(formats.to_huggingface(small()))
    change(content)
    return json.dumps(content)


REFUSED: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda c: c.update(normalizer={"type": "NFC"}), "normalizer"),
    (lambda c: c.update(truncation={"max_length": 4}), "truncation"),
    (lambda c: c.update(post_processor={"type": "TemplateProcessing"}), "post_processor"),
    (lambda c: c.update(pre_tokenizer=None), "not ByteLevel"),
    (lambda c: c.update(pre_tokenizer={"type": "Metaspace"}), "not ByteLevel"),
    (lambda c: c.update(pre_tokenizer={"type": "Sequence", "pretokenizers": 3}), "not ByteLevel"),
    (lambda c: c["pre_tokenizer"].update(add_prefix_space=True), "add_prefix_space"),
    (lambda c: c["pre_tokenizer"].pop("add_prefix_space"), "add_prefix_space"),
    (lambda c: c.pop("model"), "only \"BPE\""),
    (lambda c: c["model"].update(type="WordPiece"), "WordPiece"),
    (lambda c: c["model"].update(dropout=0.1), "dropout"),
    (lambda c: c["model"].update(ignore_merges=True), "ignore_merges"),
    (lambda c: c["model"].update(vocab=[1]), "vocab"),
    (lambda c: c["model"]["vocab"].update(ab="256"), "vocab"),
    (lambda c: c["model"]["vocab"].update(ab=1), "same id"),
    (lambda c: c["model"]["vocab"].pop("!"), "lacks the byte 33"),
    (lambda c: c["model"]["vocab"].pop("ab"), "lacks b'ab'"),
    (lambda c: c["model"]["vocab"].update(zz=999), "no merge makes"),
    (lambda c: c["model"]["vocab"].update({"日": 999}), "stands for no byte"),
    (lambda c: c["model"].update(merges=None), "merges"),
    (lambda c: c["model"]["merges"].append("a b c"), "not two tokens"),
    (lambda c: c["model"]["merges"].reverse(), "comes before"),
    (lambda c: c["added_tokens"][0].update(lstrip=True), "takes spaces"),
    (lambda c: c["added_tokens"][0].update(id=5), "two ids"),
    (lambda c: c["added_tokens"].append({"id": 5, "content": "<|x|>"}), "two tokens"),
    (lambda c: c.update(added_tokens=[3]), "added_tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), REFUSED)
def test_what_ours_could_not_follow_is_refused(change: Callable[[dict[str, Any]], object], says: str) -> None:
    formats.from_huggingface(broken(lambda content: None))
    with pytest.raises(ValueError, match=says):
        formats.from_huggingface(broken(change))


@pytest.mark.parametrize(
    ("split", "says"),
    [({"behavior": "Removed"}, "cannot follow"), ({"invert": True}, "cannot follow"),
     ({"pattern": {"String": " "}}, "cannot follow"), ({"pattern": {"Regex": "("}}, "pattern cannot be read"),
     ({"pattern": {"Regex": "(" * 100_000}}, "pattern cannot be read")],
)  # fmt: skip
def test_a_split_that_ours_could_not_follow_is_refused(split: dict[str, Any], says: str) -> None:
    content = json.loads(formats.to_huggingface(small()._replace(pattern="a|b")))
    content["pre_tokenizer"]["pretokenizers"][0].update(split)
    with pytest.raises(ValueError, match=says):
        formats.from_huggingface(json.dumps(content))


# --- tiktoken -----------------------------------------------------------------------------------------------


def test_tiktoken_gives_the_same_ids(coder: Coder, tmp_path: Path) -> None:
    path = tmp_path / "ranks.tiktoken"
    path.write_text(formats.to_tiktoken(coder.parts), encoding="utf-8")
    assert coder.parts.pattern is not None
    special = formats.special_ids(coder.parts)
    other = tiktoken.Encoding(
        "ours",
        pat_str=coder.parts.pattern,
        mergeable_ranks=load_tiktoken_bpe(str(path)),
        special_tokens=special,
    )

    @settings(max_examples=150, deadline=None)
    @given(TEXTS)
    def same(text: str) -> None:
        assert other.encode(text, allowed_special="all") == ids(coder, text)
        assert other.decode(ids(coder, text)) == text

    same()


@pytest.mark.parametrize("pattern", [r"\p{L}+", r"ab|a", r"(?:x)|\s", r"[^ ]+"])
def test_a_pattern_that_leaves_something_out_loses_nothing(
    trained: Coder, pattern: str, tmp_path: Path
) -> None:
    """Between two words the others keep what a pattern leaves out (Hugging Face), or would drop it (tiktoken)."""
    with Coder(trained.code) as coder:
        coder.open_parts(trained.parts._replace(pattern=pattern))
        parts = coder.parts
        hugging = tokenizers.Tokenizer.from_str(formats.to_huggingface(parts))
        path = tmp_path / "ranks.tiktoken"
        path.write_text(formats.to_tiktoken(parts), encoding="utf-8")
        other = tiktoken.Encoding(
            "ours",
            pat_str=formats.covering(pattern),
            mergeable_ranks=load_tiktoken_bpe(str(path)),
            special_tokens=formats.special_ids(parts),
        )

        @settings(max_examples=60, deadline=None)
        @given(st.text("ab x 1,\né", max_size=30))
        def same(text: str) -> None:
            assert hugging.encode(text).ids == ids(coder, text)
            assert other.encode_ordinary(text) == ids(coder, text)
            assert hugging.decode(ids(coder, text), skip_special_tokens=False) == text

        same()


def test_merges_are_found_again_from_ranks(coder: Coder) -> None:
    text = formats.to_tiktoken(coder.parts)
    special = formats.special_ids(coder.parts)
    assert formats.from_tiktoken(text, special, coder.parts.pattern) == coder.parts
    bare = formats.from_tiktoken(text)
    assert bare.merges == coder.parts.merges
    assert bare.special_tokens == []
    assert set(coder.parts.vocab) - set(bare.vocab) == set(special.values())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: lines[1:], "lacks? the byte 0"),
        (lambda lines: [*lines, "YWI= 999"], "again"),
        (lambda lines: [*lines, "eHk= 5"], "same rank"),
        (lambda lines: [*lines, "eHl6 999"], "no merge makes the token b'xyz'"),
        (lambda lines: [*lines, "eHk"], "line 259"),
        (lambda lines: [*lines, "eHk= -1"], "line 259"),
        (lambda lines: [*lines, "e*Hk= 999"], "line 259"),
        (lambda lines: ["", *lines], "line 1 "),
        (lambda lines: [*lines, f"{'YWFh' * 400} 999"], "a token of 1,200 bytes"),
    ],
)
def test_damaged_ranks_are_refused(change: Callable[[list[str]], list[str]], says: str) -> None:
    lines = formats.to_tiktoken(small()).splitlines()
    with pytest.raises(ValueError, match=says):
        formats.from_tiktoken("\n".join(change(lines)))


def test_a_special_token_cannot_take_a_rank() -> None:
    with pytest.raises(ValueError, match="is a rank too"):
        formats.from_tiktoken(formats.to_tiktoken(small()), {"<|end|>": 7})


def test_merges_that_ranks_cannot_tell_are_not_written() -> None:
    """From its rank alone, "abc" would be taken for ab + c."""
    merges = [(b"a", b"b"), (b"b", b"c"), (b"a", b"bc")]
    with pytest.raises(ValueError, match="cut differently"):
        formats.to_tiktoken(Parts(dict(enumerate([*BYTES, b"ab", b"bc", b"abc"])), merges, [], None))
    with pytest.raises(ValueError, match="do not rise"):
        formats.to_tiktoken(Parts(dict(enumerate([*BYTES, b"bc", b"ab"])), merges[:2], [], None))


# --- both ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [formats.to_huggingface, formats.to_tiktoken])
@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (small()._replace(vocab={**small().vocab, 300: b"ab"}), "are both b'ab'"),
        (small()._replace(special_tokens=["<|end|>", "<|x|>"]), "'<|x|>' is not in"),
        (small()._replace(vocab={k: v for k, v in small().vocab.items() if v != b"ab"}), "lacks b'ab'"),
        (small()._replace(vocab={**small().vocab, 300: b"zz"}), "no merge makes"),
    ],
)
def test_parts_that_do_not_fit_together_are_not_written(
    write: Callable[[Parts], str], parts: Parts, says: str
) -> None:
    with pytest.raises(ValueError, match=says.replace("|", r"\|")):
        write(parts)


def test_a_special_token_that_looks_like_a_written_token_is_refused() -> None:
    parts = small()._replace(vocab={**small().vocab, 258: b"ab"}, special_tokens=["ab"])
    with pytest.raises(ValueError, match="written like"):
        formats.to_huggingface(parts)


def test_files_are_recognised_by_their_content(gpt2: Coder) -> None:
    assert formats.recognise(formats.to_huggingface(small()).encode()) == "huggingface"
    assert formats.recognise(formats.to_tiktoken(small()).encode()) == "tiktoken"
    assert formats.recognise(b'{"format": "cohort.tokenizer/1"}') == "cohort"
    for data in (b"", b"Hello", b"[]", b"{}", b'{"version": "1.0"}', b"\xff", b"IQ== 0 0", b"[" * 100_000):
        with pytest.raises(ValueError, match="it "):
            formats.recognise(data)
