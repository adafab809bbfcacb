"""The reference's shards: the right ids in files of the right size, whole or not at all, in little memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tiktoken

Load = Callable[[str], ModuleType]
DOCS = ["The lowest.", "", "naïve 語 <|endoftext|> text", "a" * 40, "one two  three\n"]
END = 50256


@pytest.fixture(scope="module")
def ids(gpt2_encoding: tiktoken.Encoding) -> list[int]:
    return [id for doc in DOCS for id in [*gpt2_encoding.encode_ordinary(doc), END]]


def numbers(paths: list[Path], dtype: str = "<u2") -> list[list[int]]:
    return [np.frombuffer(path.read_bytes(), dtype).tolist() for path in paths]


@pytest.mark.parametrize("size", [1, 2, 3, 7, "all", "all but one", 10_000])
def test_shards_hold_the_ids_in_order(
    reference: Load, gpt2: Any, ids: list[int], tmp_path: Path, size: int | str
) -> None:
    n = {"all": len(ids), "all but one": len(ids) - 1}.get(str(size), size)
    assert isinstance(n, int)
    out = tmp_path / "new" / "folder"
    paths = reference("shards").write_token_shards(gpt2, iter(DOCS), out, n)
    assert [path.name for path in paths] == [f"shard_{i:05d}.bin" for i in range(-(-len(ids) // n))]
    assert sorted(out.iterdir()) == sorted(paths)
    assert numbers(paths) == [ids[i : i + n] for i in range(0, len(ids), n)]
    assert ids.count(END) == len(DOCS)  # the text "<|endoftext|>" closed no document
    for path, expected in zip(paths, numbers(paths), strict=True):
        assert reference("shards").read_shard(path).tolist() == expected


def test_no_documents_make_no_shards(reference: Load, gpt2: Any, tmp_path: Path) -> None:
    assert reference("shards").write_token_shards(gpt2, [], tmp_path / "out", 10) == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("dtype", "layout"), [(np.uint16, "<u2"), (np.uint32, "<u4"), (np.int64, "<i8"), (">u4", "<u4")]
)
def test_ids_are_written_low_byte_first(
    reference: Load, gpt2: Any, ids: list[int], tmp_path: Path, dtype: Any, layout: str
) -> None:
    paths = reference("shards").write_token_shards(gpt2, DOCS, tmp_path, 1000, dtype)
    assert numbers(paths, layout) == [ids]
    assert reference("shards").read_shard(paths[0], dtype).tolist() == ids


@pytest.mark.parametrize(
    ("largest", "dtype", "fits"),
    [(255, np.uint8, False), (65535, np.uint16, True), (65536, np.uint16, False), (65536, np.uint32, True),
     (32767, np.int16, True), (32768, np.int16, False), (2**32 - 1, np.uint32, True), (2**32, np.uint32, False)],
)  # fmt: skip
def test_the_largest_id_must_fit(
    reference: Load, tmp_path: Path, largest: int, dtype: Any, fits: bool
) -> None:
    vocab = {id: bytes([id]) for id in range(256)} | {largest: b"<|endoftext|>"} if largest > 255 else None
    tok = reference("tokenizer").BPETokenizer(
        vocab or {id: bytes([id]) for id in range(256)}, [], ["<|endoftext|>"]
    )
    assert max(tok.vocab) == max(largest, 256)
    write = reference("shards").write_token_shards
    if fits:
        assert numbers(write(tok, ["a"], tmp_path / "out", 9, dtype), np.dtype(dtype).str) == [[97, largest]]
    else:
        with pytest.raises(ValueError, match="fit"):
            write(tok, ["a"], tmp_path / "out", 9, dtype)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shard_tokens", [0, -1])
def test_a_shard_needs_a_token(reference: Load, gpt2: Any, tmp_path: Path, shard_tokens: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        reference("shards").write_token_shards(gpt2, DOCS, tmp_path / "out", shard_tokens)
    assert not (tmp_path / "out").exists()


def test_documents_need_an_end(reference: Load, small: Any, tmp_path: Path) -> None:
    tok = reference("tokenizer").BPETokenizer(small.vocab, small.merges, ["<|end|>"])
    with pytest.raises(ValueError, match="endoftext"):
        reference("shards").write_token_shards(tok, DOCS, tmp_path / "out", 10)
    assert not (tmp_path / "out").exists()


def test_shards_that_are_there_are_kept(reference: Load, gpt2: Any, ids: list[int], tmp_path: Path) -> None:
    write = reference("shards").write_token_shards
    write(gpt2, DOCS, tmp_path, 10)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match=tmp_path.name):
        write(gpt2, ["another text"], tmp_path, 10)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_half_an_id_is_refused(reference: Load, tmp_path: Path) -> None:
    (tmp_path / "half.bin").write_bytes(b"\x01\x00\x02")
    with pytest.raises(ValueError, match=r"half\.bin"):
        reference("shards").read_shard(tmp_path / "half.bin")
    with pytest.raises(ValueError, match=r"half\.bin"):
        reference("shards").read_shard(tmp_path / "half.bin", np.uint32)


# --- stopped in the middle ------------------------------------------------------------------------------------


def test_documents_that_fail_leave_whole_shards(
    reference: Load, gpt2: Any, ids: list[int], tmp_path: Path
) -> None:
    def docs() -> Iterator[str]:
        yield from DOCS
        raise OSError("the network is gone")

    with pytest.raises(OSError, match="the network is gone"):
        reference("shards").write_token_shards(gpt2, docs(), tmp_path, 8)
    assert len(ids) % 8
    expected = [ids[i : i + 8] for i in range(0, len(ids) // 8 * 8, 8)]
    assert len(expected) >= 3
    assert numbers(sorted(tmp_path.iterdir())) == expected


def test_half_a_surrogate_pair_leaves_whole_shards(reference: Load, gpt2: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        reference("shards").write_token_shards(gpt2, ["one two", "\ud800"], tmp_path, 2)
    assert [len(shard) for shard in numbers(sorted(tmp_path.iterdir()))] == [2]


def test_a_shard_that_cannot_be_put_in_its_place_leaves_nothing(
    reference: Load, gpt2: Any, ids: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def fail(source: str, target: Path) -> None:
        if target.name == "shard_00002.bin":
            raise OSError("the disk is full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        reference("shards").write_token_shards(gpt2, DOCS, tmp_path, 5)
    assert numbers(sorted(tmp_path.iterdir())) == [ids[:5], ids[5:10]]


# In a process of its own. A shard is 12 MB, so that writing it takes some time.
KILLED = """
import itertools, sys
from shards import write_token_shards
from tokenizer import BPETokenizer
tok = BPETokenizer.from_merges([], ["<|endoftext|>"])
write_token_shards(tok, itertools.repeat("0123456789 " * 10_000, 300), sys.argv[1], int(sys.argv[2]))
"""


@pytest.mark.parametrize("stop_at", [1, 2])
def test_a_process_that_is_killed_leaves_whole_shards(reference: Load, tmp_path: Path, stop_at: int) -> None:
    """It is killed as soon as the last shard appears, when a shard written in place would still be growing."""
    size = 6_000_000
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(size)])
    try:
        last, limit = tmp_path / f"shard_{stop_at - 1:05d}.bin", time.monotonic() + 60
        while not last.exists():
            assert process.poll() is None
            assert time.monotonic() < limit
    finally:
        process.kill()
        code = process.wait()
    if os.name != "nt":
        assert code == -signal.SIGKILL
    paths = sorted(tmp_path.glob("shard_*.bin"))
    assert len(paths) >= stop_at
    document = np.array([*b"0123456789 " * 10_000, 256], np.uint16)
    for number, path in enumerate(paths):
        assert path.stat().st_size == 2 * size
        expected = np.take(document, np.arange(number * size, (number + 1) * size), mode="wrap")
        assert np.array_equal(np.fromfile(path, "<u2"), expected)


# --- memory ---------------------------------------------------------------------------------------------------

# Prints the most memory (MB, resident) that it used while it read so many documents of 10 kB.
STREAMING = """
import itertools, psutil, random, sys
from shards import write_token_shards
from tokenizer import BPETokenizer

most = 0
text = "".join(random.Random(0).choices(["the ", "low", "est ", "\\n", "é", " 12"], k=3000))


def docs(number):
    global most
    for _ in range(number):
        most = max(most, psutil.Process().memory_info().rss)
        yield text


tok = BPETokenizer.train([text], 300)
if sys.argv[1] == "shards":
    write_token_shards(tok, docs(int(sys.argv[2])), sys.argv[3], 100_000)
else:
    sum(1 for _ in tok.encode_iterable(docs(int(sys.argv[2]))))
print(most / 1e6)
"""


@pytest.mark.parametrize("what", ["shards", "encode_iterable"])
def test_memory_does_not_grow_with_the_text(reference: Load, tmp_path: Path, what: str) -> None:
    def megabytes(documents: int) -> float:
        command = [sys.executable, "-c", STREAMING, what, str(documents), str(tmp_path / str(documents))]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    short, long = megabytes(40), megabytes(400)
    assert long < short + 4  # the ids of 360 more documents alone are 1.1 million, 9 MB in a list
