"""Where text comes from. Every kind of file goes through the call that also reads the hub; nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from cohort_cli.errors import CohortError, DataTrouble, EnvironmentTrouble, UsageError
from cohort_cli.training import corpus
from cohort_cli.training.data import readers, sources
from cohort_cli.training.data.sources import CORPORA, Source

TEXTS = ["A cat.\nIt sat.", "Für dich: 你好 😀", "NA", " x, \"y\"\r\nz ", "12"]  # fmt: skip


def documents(source: Source, split: str = "train") -> list[str]:
    return list(source.open()[split]())


def find(path: Path, text_field: str = "text") -> Source:
    return sources.find(str(path), text_field)


def write(path: Path, texts: list[Any], column: str = "text") -> Path:
    """A file, or the folder of a saved data set, of the kind that its suffix says."""
    if path.suffix == ".jsonl":
        lines = [json.dumps({"n": n, column: text}) + "\n" for n, text in enumerate(texts)]
        path.write_text("".join(lines), encoding="utf-8")
        return path
    rows = datasets.Dataset.from_dict({"n": list(range(len(texts))), column: texts})
    if path.suffix == ".parquet":
        rows.to_parquet(path)
    elif path.suffix == ".csv":
        rows.to_csv(path)
    else:
        rows.save_to_disk(path)
    return path


# --- text files -----------------------------------------------------------------------------------------------


def test_the_embedded_text_is_one_document() -> None:
    source = sources.find("embedded", "text")
    assert documents(source) == [corpus.load()]
    assert source.size == len(corpus.load().encode())


@pytest.mark.parametrize("text", ["", "one", "\r\na\r\n\r\n", "a\u2028b\x0cc\n\n", "é" * 5000])
def test_a_text_without_separators_is_one_document_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "notes.txt").write_bytes(text.encode())
    assert documents(find(tmp_path / "notes.txt")) == [text]


def test_documents_end_with_end_of_text(tmp_path: Path) -> None:
    text = "one\r\n<|endoftext|>\r\n  two\nlines<|endoftext|>three<|endoftext|>\n<|endoftext|>\nfour <|end\noftext|>\n"
    (tmp_path / "notes.txt").write_bytes(text.encode())
    assert documents(find(tmp_path / "notes.txt")) == [
        "one", "  two\nlines", "three", "", "four <|end\noftext|>",
    ]  # fmt: skip


def test_a_text_that_is_not_utf8_is_named_with_its_byte(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes(b"gr\xfc\xdfe")
    with pytest.raises(UsageError, match=r"old\.txt is not UTF-8 text: a byte is 0xfc"):
        documents(find(tmp_path / "old.txt"))


# --- rows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.parquet", "a.csv", "saved", "odd [1] *{x}.jsonl", "ü b.parquet"]
)
def test_each_kind_of_file_gives_the_same_documents(tmp_path: Path, name: str) -> None:
    assert documents(find(write(tmp_path / name, TEXTS))) == TEXTS


def test_a_file_can_be_read_twice(tmp_path: Path) -> None:
    opened = find(write(tmp_path / "a.jsonl", TEXTS)).open()["train"]
    assert list(opened()) == list(opened()) == TEXTS


def test_rows_without_text_are_passed_over(tmp_path: Path) -> None:
    assert documents(find(write(tmp_path / "a.parquet", ["a", None, "", "b"]))) == ["a", "b"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv", "saved"])
def test_the_column_can_have_another_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, TEXTS, column="story")
    assert documents(find(path, "story")) == TEXTS
    with pytest.raises(UsageError) as caught:
        documents(find(path))
    assert "no column 'text'; it has n, story" in caught.value.message
    assert "--text-field" in caught.value.repair


def test_a_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="row 1: 'n' is int, not text"):
        documents(find(write(tmp_path / "a.jsonl", TEXTS), "n"))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", b'{"text": "a"}\n{"text": \n'), ("a.jsonl", b"\xff\xfe\x00"), ("a.parquet", b"PAR1 or so"),
     ("a.csv", b"text\ngr\xfc\xdfe\n"), ("a.jsonl", b'{"text": "\\ud800"}\n')],
)  # fmt: skip
def test_a_file_that_is_broken_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"{name} cannot be read as {name[2:]}: ."):
        documents(find(tmp_path / name))


def test_a_file_without_rows_has_no_documents(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert documents(find(tmp_path / "a.jsonl")) == []


def test_nothing_is_left_in_the_cache_of_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    documents(find(write(tmp_path / "a.jsonl", TEXTS)))
    assert not cache.exists() or not list(cache.iterdir())


def test_a_saved_data_set_keeps_its_splits(tmp_path: Path) -> None:
    part = datasets.Dataset.from_dict({"text": TEXTS})
    datasets.DatasetDict({"train": part, "validation": part.select([1])}).save_to_disk(tmp_path / "saved")
    source = find(tmp_path / "saved")
    assert documents(source) == TEXTS
    assert documents(source, "validation") == TEXTS[1:2]


def test_a_folder_that_is_no_data_set_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large.bin").write_bytes(b"x")
    monkeypatch.setattr(sources, "sha256_of", None)
    with pytest.raises(UsageError, match="no data set"):
        find(tmp_path)


def test_a_saved_data_set_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "saved", TEXTS)
    next(path.glob("*.arrow")).write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"The data set .*saved cannot be read"):
        find(path).open()


@pytest.mark.parametrize("word", ["embeded", "no/such/file.txt", "TinyStories"])
def test_a_word_that_means_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        sources.find(word, "text")
    assert repr(word) in caught.value.message
    assert "embedded" in caught.value.repair or "tinystories" in caught.value.repair


def test_a_file_of_an_unknown_kind(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(UsageError) as caught:
        find(tmp_path / "a.docx")
    assert ".jsonl" in caught.value.repair


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "saved"])
def test_the_identity_follows_the_content_and_not_the_place(tmp_path: Path, name: str) -> None:
    def identity(folder: str, texts: list[str]) -> str:
        path = tmp_path / folder / name
        path.parent.mkdir()
        if path.suffix == ".txt":
            path.write_text("".join(texts), encoding="utf-8")
        else:
            write(path, texts)
        return find(path).identity

    first = identity("first", ["a", "b"])
    changed = identity("changed", ["a", "c"])
    assert first != changed
    if name != "saved":  # `datasets` writes a fingerprint of its own beside the rows
        assert identity("second", ["a", "b"]) == first


# --- the web --------------------------------------------------------------------------------------------------


def test_named_corpora_say_size_and_licence_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", None)
    monkeypatch.setattr(urllib.request, "urlopen", None)
    assert set(CORPORA) == {"tinyshakespeare", "tinystories", "fineweb-edu", "openwebtext"}
    for name, found in CORPORA.items():
        says = sources.find(name, "text").says
        assert all(words in says for words in (found.size, found.licence, found.place))


def hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[Any]:
    """Put `answer` (splits, or an error) in the hub's place. Returns what it is asked."""
    asked: list[Any] = []

    def load_dataset(*words: Any, **options: Any) -> Any:
        asked.append((words, options))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_the_hub_is_streamed_split_by_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hub(monkeypatch, {"train": [{"text": "a"}, {"text": "b"}], "validation": [{"text": "c"}]})
    source = sources.find("hf:someone/something:small", "text")
    assert not asked, "not before it is opened"
    assert documents(source) == ["a", "b"]
    assert documents(source, "validation") == ["c"]
    assert asked[0] == (("someone/something", "small"), {"revision": None, "streaming": True})


@pytest.mark.parametrize(
    ("name", "place", "revision"),
    [
        ("tinystories", ("roneneldan/TinyStories", None), None),
        ("fineweb-edu", ("HuggingFaceFW/fineweb-edu", "sample-10BT"), None),
        ("openwebtext", ("Skylion007/openwebtext", None), "refs/convert/parquet"),
    ],
)
def test_a_name_stands_for_a_data_set_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, name: str, place: tuple[str, str | None], revision: str | None
) -> None:
    asked = hub(monkeypatch, {"train": [{"text": "a"}]})
    assert documents(sources.find(name, "text")) == ["a"]
    assert asked == [(place, {"revision": revision, "streaming": True})]


def broken_off() -> Iterator[dict[str, str]]:
    yield {"text": "a"}
    raise OSError("the line is dead")


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (ConnectionError("Couldn't reach the hub"), DataTrouble, "Couldn't reach the hub"),
        ({"train": broken_off()}, DataTrouble, "the line is dead"),
        (datasets.exceptions.DatasetNotFoundError("doesn't exist\nmore"), UsageError, "doesn't exist."),
        (ValueError("Config name is missing."), UsageError, "Config name is missing."),
        (RuntimeError("Dataset scripts are no longer supported"), UsageError, "no longer supported"),
        ({"train": [{"texts": "a"}]}, UsageError, "no column 'text'"),
    ],
)
def test_what_goes_wrong_with_the_hub(
    monkeypatch: pytest.MonkeyPatch, answer: Any, kind: type[CohortError], says: str
) -> None:
    hub(monkeypatch, answer)
    with pytest.raises(kind) as caught:
        documents(sources.find("hf:someone/something", "text"))
    assert says in caught.value.message
    assert "someone/something" in caught.value.message
    assert caught.value.exit_code == {DataTrouble: 8, UsageError: 2}[kind]
    assert caught.value.repair


def test_a_fetched_file_is_the_one_that_we_know(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes("Speak, spéak.\n".encode())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(readers.fetched(path.as_uri(), sha256)) == ["Speak, spéak.\n"]
    path.write_bytes(b"Speak, speak!\n")
    with pytest.raises(DataTrouble, match="checksum is wrong") as caught:
        list(readers.fetched(path.as_uri(), sha256))
    assert caught.value.exit_code == 8


def test_without_a_network_the_repair_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: Any, **options: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(DataTrouble) as caught:
        documents(sources.find("tinyshakespeare", "text"))
    assert caught.value.exit_code == 8
    assert "run the same command again" in caught.value.repair


@pytest.mark.parametrize("word", ["tinystories", "hf:a/b", "a.jsonl", "a.parquet", "a.csv", "saved"])
def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    if word == "saved":
        write(tmp_path / word, TEXTS)
    elif "." in word:
        (tmp_path / word).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(EnvironmentTrouble) as caught:
        sources.find(word, "text")
    assert caught.value.exit_code == 4
    assert 'pip install "cohort-kit[train]"' in caught.value.repair


@pytest.mark.parametrize("word", ["embedded", "a.txt", "tinyshakespeare"])
def test_some_sources_need_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert sources.find(word, "text").open()["train"]
