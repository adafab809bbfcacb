"""The reference's files: what is saved comes back, and what is damaged is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiktoken

Load = Callable[[str], ModuleType]
TEXT = "<|end|><|of|>the <|end|> lowest\n\n é 語 <|endoftext|> 'll <"


@pytest.fixture(scope="module")
def saved(reference: Load, small: Any) -> Any:
    special = ["<|endoftext|>", "<|end|>", "<|end|><|of|>", "\n\n"]
    return reference("tokenizer").BPETokenizer.from_merges(small.merges, special)


def same(a: Any, b: Any) -> bool:
    names = ("vocab", "merges", "special_tokens", "pattern")
    return all(getattr(a, name) == getattr(b, name) for name in names) and all(
        a.encode(TEXT, allowed_special=allowed) == b.encode(TEXT, allowed_special=allowed)
        for allowed in ("all", "none")
    )


def test_what_is_saved_comes_back(reference: Load, saved: Any, tmp_path: Path) -> None:
    tokenizer = reference("tokenizer").BPETokenizer
    versions = [
        saved,
        tokenizer.from_merges([]),
        tokenizer.from_merges(saved.merges, ["ünïcode語", '"\\', "a b\n", "  <"], pattern=None),
        tokenizer(saved.vocab | {5000: b"<|x|>"}, saved.merges, ["<|x|>", "<|y|>"], r"\w+|\W+"),
    ]
    for number, tok in enumerate(versions):
        path = tmp_path / f"{number}.json"
        tok.save(path)
        assert same(tokenizer.load(path), tok)
        again = tmp_path / "again.json"
        tokenizer.load(str(path)).save(str(again))
        assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("special", ["ab", "a"])
def test_a_special_token_that_is_also_a_piece_comes_back(
    reference: Load, tmp_path: Path, special: str
) -> None:
    tokenizer = reference("tokenizer").BPETokenizer
    tok = tokenizer.from_merges([(b"a", b"b")], [special])
    tok.save(tmp_path / "tokenizer.json")
    again = tokenizer.load(tmp_path / "tokenizer.json")
    assert again.vocab == tok.vocab
    for allowed in ("all", "none"):
        assert again.encode("abba", allowed_special=allowed) == tok.encode("abba", allowed_special=allowed)


def test_every_byte_can_be_in_a_file(reference: Load, tmp_path: Path) -> None:
    tokenizer = reference("tokenizer").BPETokenizer
    tok = tokenizer.from_merges([(bytes([byte]), bytes([255 - byte])) for byte in range(256)])
    tok.save(tmp_path / "bytes.json")
    assert tokenizer.load(tmp_path / "bytes.json").vocab == tok.vocab


def test_the_file_is_utf8(saved: Any, tmp_path: Path) -> None:
    """Its characters for bytes lie beyond ASCII, so a file in the system's encoding could not be moved."""
    saved.save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_bytes().decode("utf-8"))
    assert "Ġthe" in content["vocab"].values()


def test_printable_characters_are_gpt2s(
    reference: Load, gpt2_files: tuple[Path, Path], gpt2_encoding: tiktoken.Encoding
) -> None:
    encoder = json.loads(gpt2_files[0].read_text(encoding="utf-8"))
    expected = {
        gpt2_encoding.decode_single_token_bytes(id): piece for piece, id in encoder.items() if id < 256
    }
    module = reference("tokenizer")
    assert {bytes([byte]): character for byte, character in module.byte_characters().items()} == expected
    every = bytes(range(256))
    assert module.from_printable(module.printable(every)) == every


# --- damaged files --------------------------------------------------------------------------------------------


def test_a_truncated_file_is_refused(reference: Load, saved: Any, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    saved.save(path)
    whole = path.read_bytes()
    assert len(whole) > 3000
    for length in [*range(0, len(whole), 3), *range(len(whole) - 40, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"tokenizer\.json"):
            reference("tokenizer").BPETokenizer.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b"null", b"3", b'"text"', b"[[1]]", b'{"format": "cohort.tokenizer/2"}',
        b'{"format": "cohort.tokenizer/1"}', b"\x00" * 100, b"\xff\xfe\x00\x01", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04",
        bytes(range(256)), b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"format":' * 50_000,
    ],
    ids=lambda content: ascii(content[:30])[2:-1] or "empty",
)  # fmt: skip
def test_other_files_are_refused(reference: Load, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.json"):
        reference("tokenizer").BPETokenizer.load(path)
    with pytest.raises(ValueError, match=r"other\.json"):
        reference("tokenizer").BPETokenizer.from_gpt2(path, path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": None},
        {"vocab": []},
        {"vocab": {"a": 97}},
        {"vocab": None},
        {"merges": ["a"]},
        {"merges": ["a b c"]},
        {"merges": [["a", "b"]]},
        {"merges": ["語 a"]},
        {"merges": ["q Q"]},
        {"merges": 3},
        {"special_tokens": {"<|end|>": None}},
        {"special_tokens": {"<|end|>": 97}},
        {"special_tokens": {"<|end|>": "many"}},
        {"special_tokens": ["<|end|>"]},
        {"special_tokens": None},
    ],
    ids=str,
)
def test_wrong_contents_are_refused(
    reference: Load, saved: Any, change: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    saved.save(path)
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps(content | change), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        reference("tokenizer").BPETokenizer.load(path)
    for key in content:
        path.write_text(json.dumps({k: v for k, v in content.items() if k != key}), encoding="utf-8")
        with pytest.raises(ValueError, match=key):
            reference("tokenizer").BPETokenizer.load(path)


def test_a_missing_file_is_a_missing_file(reference: Load, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        reference("tokenizer").BPETokenizer.load(tmp_path / "nothing.json")


def test_a_vocabulary_without_a_byte_or_a_merge_is_refused(reference: Load, saved: Any) -> None:
    tokenizer = reference("tokenizer").BPETokenizer
    for id in (0, 97, 255, 256, 300):
        vocab = {other: piece for other, piece in saved.vocab.items() if other != id}
        with pytest.raises(ValueError, match="lacks"):
            tokenizer(vocab, saved.merges)


# --- a file is replaced whole, or not at all ------------------------------------------------------------------


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failing_save_leaves_the_old_file(
    reference: Load, saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"the old file")

    def fail(*arguments: object) -> None:
        assert path.read_bytes() == b"the old file"
        raise OSError("the disk is full")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="the disk is full"):
        saved.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == b"the old file"
    assert os.listdir(tmp_path) == ["tokenizer.json"]
    saved.save(path)
    assert os.listdir(tmp_path) == ["tokenizer.json"]
    assert same(reference("tokenizer").BPETokenizer.load(path), saved)


def test_the_file_is_complete_when_it_appears(
    saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, sizes = os.replace, []

    def watch(source: str | Path, target: str | Path) -> None:
        sizes.append(os.path.getsize(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    saved.save(tmp_path / "tokenizer.json")
    assert sizes == [os.path.getsize(tmp_path / "tokenizer.json")]


# --- GPT-2's files --------------------------------------------------------------------------------------------


def test_gpt2s_vocabulary_is_tiktokens(gpt2: Any, gpt2_encoding: tiktoken.Encoding) -> None:
    assert len(gpt2.vocab) == 50257
    assert len(gpt2.merges) == 50000
    for id, piece in gpt2.vocab.items():
        assert gpt2_encoding.decode_single_token_bytes(id) == piece
    assert gpt2.special_tokens == ["<|endoftext|>"]


def test_gpt2s_vocabulary_can_be_saved(reference: Load, gpt2: Any, tmp_path: Path) -> None:
    gpt2.save(tmp_path / "gpt2.json")
    assert same(reference("tokenizer").BPETokenizer.load(tmp_path / "gpt2.json"), gpt2)


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9999])
def test_a_truncated_encoder_json_is_refused(
    reference: Load, gpt2_files: tuple[Path, Path], tmp_path: Path, part: float
) -> None:
    encoder_json, vocab_bpe = gpt2_files
    whole = encoder_json.read_bytes()
    (tmp_path / "encoder.json").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ValueError, match=r"encoder\.json"):
        reference("tokenizer").BPETokenizer.from_gpt2(tmp_path / "encoder.json", vocab_bpe)


def test_other_gpt2_files_are_refused(reference: Load, gpt2_files: tuple[Path, Path], tmp_path: Path) -> None:
    tokenizer, (encoder_json, vocab_bpe) = reference("tokenizer").BPETokenizer, gpt2_files
    with pytest.raises(ValueError, match="GPT-2"):
        tokenizer.from_gpt2(vocab_bpe, encoder_json)
    lines = vocab_bpe.read_text(encoding="utf-8").split("\n")
    for line in ("one", "one two three", "語 a", "qqq QQQ"):
        (tmp_path / "vocab.bpe").write_text("\n".join([*lines[:100], line, *lines[100:]]), encoding="utf-8")
        with pytest.raises(ValueError, match=r"vocab\.bpe"):
            tokenizer.from_gpt2(encoder_json, tmp_path / "vocab.bpe")


# --- not yet so -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 25_000, 50_000])
def test_a_truncated_vocab_bpe_is_refused(
    reference: Load, gpt2_files: tuple[Path, Path], tmp_path: Path, number: int
) -> None:
    encoder_json, vocab_bpe = gpt2_files
    lines = vocab_bpe.read_bytes().split(b"\n")
    (tmp_path / "vocab.bpe").write_bytes(b"\n".join(lines[:number]))
    with pytest.raises(ValueError, match=r"vocab\.bpe"):
        reference("tokenizer").BPETokenizer.from_gpt2(encoder_json, tmp_path / "vocab.bpe")


@pytest.mark.parametrize(
    "change", [{"pattern": "("}, {"pattern": 5}, {"special_tokens": {"<|end|>": float("inf")}}], ids=str
)
def test_more_wrong_contents_are_refused(
    reference: Load, saved: Any, change: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    saved.save(path)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        reference("tokenizer").BPETokenizer.load(path)


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
def test_others_may_read_the_file_as_the_umask_says(saved: Any, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    saved.save(tmp_path / "tokenizer.json")
    assert os.stat(tmp_path / "tokenizer.json").st_mode == os.stat(tmp_path / "plain").st_mode
