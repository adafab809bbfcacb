"""Token folders: every document is there once, they appear whole or not at all, and damage is named with its repair."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import REPO, Cohort

from cohort_cli import planting
from cohort_cli.catalog import find_project
from cohort_cli.errors import DataTrouble, EnvironmentTrouble, UsageError
from cohort_cli.training import corpus, disk
from cohort_cli.training.config import Data
from cohort_cli.training.data import prepare as preparing
from cohort_cli.training.data import readers, write
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.choose import Choice
from cohort_cli.training.data.prepare import prepare
from cohort_cli.training.data.shards import MANIFEST, Manifest, TokenFolder, all_folders, problems
from cohort_cli.training.data.sources import Source
from cohort_cli.training.data.tokenizer import Characters, Tokenizer

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=12)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPO)}


@pytest.fixture
def place(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where data is kept; commands that are run here keep it there too."""
    folder = tmp_path / "data"
    monkeypatch.setenv("COHORT_DATA", str(folder))
    return folder


def rows(path: Path, texts: list[str]) -> Path:
    lines = [json.dumps({"text": text}) + "\n" for text in texts]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def ids(folder: TokenFolder, split: str) -> list[int]:
    found = folder.split(split)
    return found.read(0, found.tokens).tolist()


def text(folder: TokenFolder, split: str) -> str:
    return folder.tokenizer.decode(ids(folder, split))


def names(folder: Path) -> list[str]:
    """What is in a folder, but for the files of locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


# --- what is written ------------------------------------------------------------------------------------------


def test_the_embedded_text_is_cut_where_the_demo_cuts_it(place: Path) -> None:
    folder = prepare(Data(), place)
    assert (text(folder, "train"), text(folder, "validation")) == corpus.split(corpus.load())
    train = folder.manifest.splits["train"]
    assert (train.documents, train.unknown) == (1, 0)
    assert train.bytes == len(corpus.split(corpus.load())[0].encode())
    assert folder.split("train").bytes_per_token == train.bytes / train.tokens


def written(documents: list[str], tokenizer: Tokenizer, data: Data, folder: Path) -> TokenFolder:
    """Documents through all of `write_tokens`, without its waits for the disk."""
    source = Source("test", "A test", "test", lambda: {"train": lambda: iter(documents)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "sync", lambda path: None)
        patch.setattr(tokenizers, "load", lambda path: tokenizer)
        write.write_tokens(
            folder, data, source, Choice("test", "test", lambda text: tokenizer), write.nothing
        )
        return TokenFolder.open(folder, verify="checksums")


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    return tokenizers.gpt2()


@settings(max_examples=150, deadline=None)
@given(
    documents=TEXTS, share=st.floats(0.01, 0.99), shard_tokens=st.integers(20, 100), piece=st.integers(1, 40)
)
def test_every_document_is_there_once(
    gpt2: Tokenizer, documents: list[str], share: float, shard_tokens: int, piece: int
) -> None:
    documents = [*documents, "one", "two"]
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "PIECE", piece)
        folder = written(documents, gpt2, Data("test", "gpt2", shard_tokens, share), Path(place))
        found = {split: ids(folder, split) for split in ("train", "validation")}
        for split in found:
            folder.split(split).forget_maps()
    whole = [document for document in documents if document]
    dealt = list(write.deal(whole, share))
    for split, of_split in found.items():
        texts = [document for name, document in dealt if name == split]
        assert gpt2.decode(of_split) == "".join(f"{document}<|endoftext|>" for document in texts)
        assert of_split.count(50256) == len(texts)
        counts = folder.manifest.splits[split]
        assert counts.documents == len(texts)
        assert counts.bytes == sum(len(document.encode()) for document in texts)
        assert counts.tokens == len(of_split)


LINES = st.lists(
    st.sampled_from(["a", "It's", " ", "\n", "\r\n", "\t", "12", "\u3000", "é", "...", "\n\n"]), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(parts=LINES, piece=st.integers(1, 10))
def test_a_long_document_that_is_cut_has_the_ids_of_the_whole(
    gpt2: Tokenizer, parts: list[str], piece: int
) -> None:
    document = "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "PIECE", piece)
        cut = list(write.pieces(iter([("train", document)]), ""))
    assert "".join(part.text for part in cut) == document
    assert [part.ends for part in cut] == [False] * (len(cut) - 1) + [True] * bool(cut)
    assert [id for part in cut for id in gpt2.encode(part.text)] == gpt2.encode(document)


def test_a_long_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "one line\n" * 1000
    monkeypatch.setattr(write, "PIECE", 500)
    sizes = [len(part.text) for part in write.pieces(iter([("train", lines)]), "")]
    assert len(sizes) > 15
    assert max(sizes) < 520


def test_a_text_that_is_cut_is_still_one_document(
    tmp_path: Path, gpt2: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "PIECE", 500)
    folder = written(["one line\n" * 1000, "two", "three"], gpt2, Data("test", "gpt2"), tmp_path)
    assert [counts.documents for counts in folder.manifest.splits.values()] == [1, 2]
    assert ids(folder, "train").count(50256) == 1


@settings(max_examples=200, deadline=None)
@given(sizes=st.lists(st.integers(1, 50), min_size=2, max_size=200), share=st.floats(0.01, 0.99))
def test_validation_gets_its_share(sizes: list[int], share: float) -> None:
    dealt = list(write.deal(("x" * size for size in sizes), share))
    assert [len(document) for _, document in dealt] == sizes, "in order"
    got = {split: sum(len(t) for s, t in dealt if s == split) for split in ("train", "validation")}
    assert min(got.values()) > 0, "neither is empty"
    assert abs(got["validation"] - share * sum(sizes)) <= max(sizes)


def test_without_end_of_text_an_empty_line_stands_between_documents(place: Path, tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", ["aa", "VALID", "bb", "cc", "Z"])
    folder = prepare(Data(str(path), validation_share=0.4), place)
    assert text(folder, "train") == "aa\n\nbb\n\ncc\n\nZ"
    assert text(folder, "validation").count("\ufffd") == folder.manifest.splits["validation"].unknown > 0
    assert folder.manifest.splits["train"].bytes == len("aa\n\nbb\n\ncc\n\nZ")
    assert folder.manifest.vocab_size == len("abcZ\n") + 1


def test_the_alphabet_is_that_of_the_training_text(place: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("ab" * 45 + "é" * 5 + "a" * 5, encoding="utf-8")
    folder = prepare(Data(str(path), validation_share=0.1), place)
    tokenizer = folder.tokenizer
    assert isinstance(tokenizer, Characters)
    assert tokenizer.alphabet == "ab"
    assert text(folder, "validation") == "\ufffd" * 5 + "a" * 5
    assert folder.manifest.splits["validation"].unknown == 5
    assert folder.manifest.splits["validation"].bytes == 15


def test_a_vocabulary_above_65536_takes_32_bits(place: Path, tmp_path: Path) -> None:
    characters = "".join(chr(0x10000 + n) for n in range(65_536))
    (tmp_path / "a.txt").write_text(characters + "\U0002ffff" * 10, encoding="utf-8")
    small = prepare(Data(str(tmp_path / "a.txt"), validation_share=0.001), place)
    assert (small.manifest.vocab_size, small.manifest.dtype) == (65_481, "uint16")
    (tmp_path / "b.txt").write_text(characters + "ab" + "c" * 100, encoding="utf-8")
    large = prepare(Data(str(tmp_path / "b.txt"), validation_share=0.001), place)
    assert (large.manifest.vocab_size, large.manifest.dtype) == (65_540, "uint32")
    assert text(large, "train").startswith(characters + "ab")


@pytest.mark.parametrize("tokenizer", ["characters", "gpt2"])
def test_the_limit_is_exact(place: Path, tmp_path: Path, tokenizer: str) -> None:
    texts = [f"{n} is {chr(0x61 + n % 26)}{'é' * (n // 90)}." for n in range(100)]
    data = Data(str(rows(tmp_path / "a.jsonl", texts)), tokenizer)
    whole, part = prepare(data, place), prepare(data._replace(max_tokens=150), place)
    assert text(part, "train") == text(whole, "train")[: len(text(part, "train"))]
    counts = part.manifest.splits["train"]
    assert counts.tokens == 150
    assert counts.bytes == len(text(part, "train").replace("<|endoftext|>", "").encode())
    assert 1 <= part.manifest.splits["validation"].documents <= 4


def test_the_limit_counts_training_text_alone(place: Path, tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", ["aa", "v" * 50, "bbb", "cccc" * 9])
    folder = prepare(Data(str(path), max_tokens=20), place)
    assert text(folder, "train") == "aa\n\nbbb\n\n" + "c" * 11
    assert folder.manifest.splits["validation"].tokens == 50


@pytest.mark.parametrize("tokenizer", ["characters", "gpt2"])
def test_the_limit_cuts_a_single_document_and_leaves_a_validation_text(place: Path, tokenizer: str) -> None:
    train, validation = corpus.split(corpus.load())
    folder = prepare(Data("embedded", tokenizer, max_tokens=1000), place)
    assert [counts.tokens for counts in folder.manifest.splits.values()] == [1000, 100]
    assert [counts.documents for counts in folder.manifest.splits.values()] == [1, 1]
    assert train.startswith(text(folder, "train"))
    scored = text(folder, "validation")
    assert all(a in (b, "\ufffd") for a, b in zip(scored, validation[: len(scored)], strict=True))
    counts = folder.manifest.splits["validation"]
    assert (counts.bytes, counts.unknown) == (len(validation[: len(scored)].encode()), scored.count("\ufffd"))
    if tokenizer == "characters":
        assert folder.manifest.vocab_size == len(set(train[:1000])) + 1, "the alphabet of what is trained on"


def test_the_limit_does_not_depend_on_how_texts_are_batched(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rows(tmp_path / "a.jsonl", [f"{n} words" * (n % 7 + 1) for n in range(300)])
    found = []
    for number, piece in enumerate((10, 1000, 1 << 20)):
        monkeypatch.setattr(write, "PIECE", piece)
        folder = prepare(Data(str(path), "gpt2", max_tokens=400), place / str(number))
        found.append((ids(folder, "train"), ids(folder, "validation")))
    assert found[0] == found[1] == found[2]


def test_splits_of_the_source_are_kept_and_each_has_its_limit(place: Path, tmp_path: Path) -> None:
    part = datasets.Dataset.from_dict({"text": ["a" * 10] * 50})
    other = datasets.Dataset.from_dict({"text": ["a" * 9] * 50})
    datasets.DatasetDict({"train": part, "validation": other}).save_to_disk(tmp_path / "saved")
    whole = prepare(Data(str(tmp_path / "saved")), place)
    assert [counts.documents for counts in whole.manifest.splits.values()] == [50, 50]
    assert "a" * 10 not in text(whole, "validation")
    part = prepare(Data(str(tmp_path / "saved"), max_tokens=100), place)
    assert [counts.documents for counts in part.manifest.splits.values()] == [9, 2]


@pytest.mark.parametrize("content", ["", "a", "ab\n"])
def test_too_little_text_is_said_and_leaves_nothing(place: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="too little text"):
        prepare(Data(str(tmp_path / "a.txt"), validation_share=0.5), place)
    assert names(place) == []


@pytest.mark.parametrize("change", [{"validation_share": 0.0}, {"validation_share": 1.0}, {"shard_tokens": 0},
                                    {"max_tokens": -1}])  # fmt: skip
def test_numbers_that_make_no_sense(place: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        prepare(Data()._replace(**change), place)


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    stream = iter([("train", "a\ud800b")])
    assert [piece.text for piece in write.pieces(stream, "")] == ["a?b"]


def test_progress_is_told(place: Path, tmp_path: Path) -> None:
    heard: list[tuple[float | None, int]] = []
    prepare(Data(), place, progress=lambda share, tokens: heard.append((share, tokens)))
    assert heard[-1] == (1.0, len(corpus.load()))
    path = rows(tmp_path / "a.jsonl", ["some words"] * 10)
    heard.clear()
    prepare(Data(str(path)), place, progress=lambda share, tokens: heard.append((share, tokens)))
    assert [share for share, _ in heard] == [None], "nobody knows how much text there is"
    heard.clear()
    prepare(
        Data(str(path), max_tokens=50), place, progress=lambda share, tokens: heard.append((share, tokens))
    )
    assert heard[-1][0] == 1.0


# --- once for the same content --------------------------------------------------------------------------------


def test_it_is_done_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    first = prepare(Data(), place, heard.append)
    assert heard == ["The English prose of Python's documentation. Licence: PSF-2.0."]
    monkeypatch.setattr(preparing, "write_tokens", None)
    monkeypatch.setattr(preparing, "_alone", None)  # data that nobody may write to can be trained on
    assert prepare(Data(), place, heard.append).path == first.path
    assert len(heard) == 1


def test_other_content_and_other_settings_have_another_folder(place: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one text " * 20, encoding="utf-8")
    first = Data(str(path))
    found = [prepare(data, place).path for data in (
        first, first._replace(tokenizer="gpt2"), first._replace(shard_tokens=9), first._replace(max_tokens=50),
        first._replace(validation_share=0.2),
    )]  # fmt: skip
    path.write_text("two text " * 20, encoding="utf-8")
    found.append(prepare(first, place).path)
    assert len(set(found)) == 6
    (tmp_path / "moved").mkdir()
    moved = shutil.copy(path, tmp_path / "moved" / "a.txt")
    assert prepare(first._replace(source=str(moved)), place).path == found[-1], "the place does not matter"


def test_a_relative_path_means_the_same_file(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("one text " * 20, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    folder = prepare(Data("a.txt"), place)
    assert folder.manifest.settings["source"] == str(tmp_path / "a.txt")


def test_a_token_folder_is_a_source_too(place: Path, tmp_path: Path) -> None:
    made = prepare(Data(), place)
    elsewhere = shutil.copytree(made.path, tmp_path / "copied")
    assert prepare(Data(str(elsewhere)), tmp_path / "unused").path == elsewhere
    assert not (tmp_path / "unused").exists()


# --- interrupted, and at the same time ------------------------------------------------------------------------


def stopping(error: BaseException) -> Callable[[Path], Iterator[str]]:
    def plain(path: Path) -> Iterator[str]:
        yield "some text " * 50
        yield "more text " * 50
        raise error

    return plain


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_an_interrupted_preparation_leaves_nothing_and_can_be_repeated(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    data = Data(str(tmp_path / "a.txt"), "gpt2", shard_tokens=20)
    (tmp_path / "a.txt").write_text("some text " * 50, encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(readers, "plain", stopping(error))
        with pytest.raises(type(error)):
            prepare(data, place)
    assert names(place) == []
    assert prepare(data, place).split("train").tokens > 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_is_said_and_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(disk, "write_bytes", full)
    with pytest.raises(EnvironmentTrouble, match="is full") as caught:
        prepare(Data(), place)
    assert "COHORT_DATA" in caught.value.repair
    assert names(place) == []


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentTrouble, match="cannot be made"):
        prepare(Data(), tmp_path / "file" / "data")


SLOW = """
import sys, time
from pathlib import Path
from cohort_cli.training.config import Data
from cohort_cli.training.data import prepare as preparing, write
whole = write.Manifest.to_json
def slow(manifest):
    print("almost", flush=True)
    time.sleep(float(sys.argv[2]))
    return whole(manifest)
write.Manifest.to_json = slow
made = preparing.prepare(Data(), Path(sys.argv[1]), lambda line: print(line, flush=True))
print(made.path.name, flush=True)
"""


def start(place: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SLOW, str(place), str(seconds)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def test_a_killed_preparation_is_no_folder_and_the_next_one_cleans_up(place: Path) -> None:
    process = start(place, 60)
    assert process.stdout is not None
    while process.stdout.readline() != "almost\n":
        pass
    process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (left,) = names(place)
    assert left.startswith(".embedded-characters-")
    assert left.endswith(".partial")
    assert problems(place / left, checksums=False) != []
    folder = prepare(Data(), place)
    assert names(place) == [folder.path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
def test_who_may_read_other_folders_may_read_this_one(place: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert prepare(Data(), place).path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_several_at_once_make_one_folder(place: Path) -> None:
    processes = [start(place, 1.0) for _ in range(3)]
    said = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    (name,) = names(place)
    assert [lines[-1] for lines in said] == [name] * 3
    assert sum("almost" in lines for lines in said) == 1, "one of them did the work"
    assert problems(place / name, checksums=True) == []


# --- damage ---------------------------------------------------------------------------------------------------


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [shorter, changed, Path.unlink])
@pytest.mark.parametrize("name", ["train_00001.bin", "validation_00000.bin", "tokenizer.json"])
def test_damage_is_named_with_the_line_that_repairs_it(
    place: Path, cohort: Cohort, name: str, damage: Callable[[Path], None]
) -> None:
    data = Data("embedded", "characters", shard_tokens=300_000)
    made = prepare(data, place)
    damage(made.path / name)
    verify = "checksums" if damage is changed else "sizes"
    with pytest.raises(DataTrouble) as caught:
        TokenFolder.open(made.path, verify)
    assert caught.value.exit_code == 8
    assert name in caught.value.message
    program, *words = shlex.split(caught.value.repair)
    assert program == "cohort"
    assert cohort(*words).code == 0
    assert problems(made.path, checksums=True) == []
    assert names(place) == [made.path.name]


def test_the_repair_can_be_copied_to_a_shell(place: Path, tmp_path: Path) -> None:
    (tmp_path / "my texts.txt").write_text("some text " * 30, encoding="utf-8")
    made = prepare(Data(str(tmp_path / "my texts.txt"), max_tokens=100), place)
    shorter(made.path / "train_00000.bin")
    with pytest.raises(DataTrouble) as caught:
        TokenFolder.open(made.path)
    words = [str(tmp_path / "my texts.txt"), "--tokenizer", "characters", "--max-tokens", "100", "--again"]
    assert shlex.split(caught.value.repair) == ["cohort", "data", "prepare", *words]


def test_what_is_not_finished_is_in_no_list(place: Path) -> None:
    made = prepare(Data(), place)
    shutil.copytree(made.path, place / f".{made.path.name}.abc.partial")
    assert all_folders(place) == [made.path]


def test_what_is_damaged_is_not_trained_on(place: Path) -> None:
    made = prepare(Data(), place)
    shorter(made.path / "train_00000.bin")
    with pytest.raises(DataTrouble):
        prepare(Data(), place)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    table = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    change(table)
    (path / MANIFEST).write_text(json.dumps(table), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.update(schema="cohort.shards/2"),
        lambda table: table.pop("schema"),
        lambda table: table.update(more=1),
        lambda table: table.pop("settings"),
        lambda table: table.update(splits=[]),
        lambda table: table["splits"].pop("train"),
        lambda table: table["splits"]["train"].update(tokens="many"),
        lambda table: table["splits"]["train"].update(shards=["other.bin"]),
        lambda table: table.update(files=table["files"][:-1]),
        lambda table: table["files"][0].update(file="../train_00000.bin"),
        lambda table: table["files"][0].pop("sha256"),
        lambda table: table.update(dtype="object"),
        lambda table: table["files"].append({"file": "../other.bin", "size": 1, "sha256": "x"}),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(
    place: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    made = prepare(Data(), place)
    edit(made.path, change)
    with pytest.raises(DataTrouble, match=MANIFEST) as caught:
        TokenFolder.open(made.path)
    assert str(made.path) in caught.value.repair


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b'"text"'])
def test_a_manifest_that_cannot_be_read_is_refused(place: Path, content: bytes) -> None:
    made = prepare(Data(), place)
    (made.path / MANIFEST).write_bytes(content)
    with pytest.raises(DataTrouble, match=MANIFEST):
        TokenFolder.open(made.path)


def test_a_manifest_says_what_it_was_made_of(place: Path) -> None:
    made = prepare(Data(shard_tokens=100_000), place)
    assert Manifest.read(made.path) == made.manifest
    assert made.manifest.settings == Data(shard_tokens=100_000)._asdict()
    assert [file.size for file in made.manifest.files[:4]] == [200_000] * 4
    np.testing.assert_array_equal(
        np.fromfile(made.path / "train_00000.bin", "<u2"), made.split("train").read(0, 100_000)
    )


# --- the member's own tokenizer -------------------------------------------------------------------------------


@pytest.fixture
def project1(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cohort: Cohort) -> Path:
    """A member's folder of Project 1, finished, with a tokenizer that was trained there."""
    made = planting.create(tmp_path / "my-llm").workspace
    project = find_project("project1")
    planting.start(made, project)
    folder = made.project_folder(project)
    for path in project.reference.glob("*.py"):
        shutil.copy(path, folder)
    monkeypatch.chdir(made.root)
    assert cohort("tokenizer", "train", "embedded", "--vocab-size", "300").code == 0
    return folder


def test_mine_is_the_tokenizer_of_project1(project1: Path, place: Path, tmp_path: Path) -> None:
    folder = prepare(Data(tokenizer="mine"), place)
    assert (folder.manifest.vocab_size, folder.tokenizer.end_of_text) == (300, 299)
    assert text(folder, "train") == corpus.split(corpus.load())[0] + "<|endoftext|>"
    ours = json.loads((project1 / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(ours["merges"]) == 43
    same = prepare(Data(tokenizer=str(project1 / "tokenizer.json")), place)
    assert ids(same, "train") == ids(folder, "train"), "its file says the same"


def test_mine_that_was_trained_anew_makes_another_folder(project1: Path, place: Path, cohort: Cohort) -> None:
    first = prepare(Data(tokenizer="mine"), place)
    assert cohort("tokenizer", "train", "embedded", "--vocab-size", "301", "--force").code == 0
    second = prepare(Data(tokenizer="mine"), place)
    assert (first.path != second.path, second.manifest.vocab_size) == (True, 301)


def test_code_of_mine_that_fails_is_told_in_its_words(project1: Path, place: Path) -> None:
    (project1 / "tokenizer.py").write_text("raise ValueError('not finished')\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not finished"):
        prepare(Data(tokenizer="mine"), place)


def test_mine_that_is_not_trained_yet(project1: Path, place: Path) -> None:
    (project1 / "tokenizer.json").unlink()
    with pytest.raises(UsageError) as caught:
        prepare(Data(tokenizer="mine"), place)
    assert caught.value.repair == "cohort tokenizer train embedded"


@pytest.mark.parametrize("word", ["gpt3", "none.json"])
def test_a_tokenizer_that_is_none(place: Path, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        prepare(Data(tokenizer=word), place)
    assert not place.exists()


def test_time_is_not_wasted_on_what_is_there(place: Path) -> None:
    prepare(Data(), place)
    started = time.process_time()
    prepare(Data(), place)
    assert time.process_time() - started < 0.5
