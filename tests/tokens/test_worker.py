"""A folder's code runs in a process of its own: its names, its crashes and its printing stay there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.tokens import sources
from cohort_cli.tokens.client import Code, Coder
from cohort_cli.tokens.formats import Parts

BYTES = Parts({byte: bytes([byte]) for byte in range(256)}, [], [], None)
# Bytes only; the tests change one method each.
PLAIN = '''\
class BPETokenizer:
    def __init__(self, vocab, merges, special_tokens=None, pattern=None):
        self.vocab, self.merges = vocab, merges
        self.special_tokens, self.pattern = special_tokens or [], pattern

    def encode(self, text, *, allowed_special="none"):
        return list(text.encode())

    @classmethod
    def train(cls, texts, vocab_size, *, special_tokens=(), pattern=None):
        """Its merges are the first two bytes of each text."""
        return cls({i: bytes([i]) for i in range(256)}, [(t[0].encode(), t[1].encode()) for t in texts])

    def save(self, path):
        path.write_text("saved")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    (path / "tokenizer.py").write_text(PLAIN)
    return path


def change(folder: Path, method: str, body: str) -> Code:
    """The code in which `method` begins with `body`."""
    lines = PLAIN.splitlines()
    at = next(n for n, line in enumerate(lines) if f"def {method}(" in line)
    text = "\n".join([*lines[: at + 1], f"        {body}", *lines[at + 1 :]])
    (folder / "tokenizer.py").write_text(text)
    return Code(folder, mine=True)


def opened(code: Code) -> Coder:
    coder = Coder(code)
    coder.open_parts(BYTES)
    return coder


def test_two_folders_with_the_same_names_do_not_meet(folder: Path) -> None:
    with opened(Code(folder, mine=True)) as mine, opened(sources.reference()) as reference:
        mine.train(["xyz"], 300)
        reference.train(["xyxy"], 257, special_tokens=[])
        assert (mine.parts.merges, reference.parts.merges) == ([(b"x", b"y")], [(b"x", b"y")])
        assert [token.id for token in reference.encode("xy")] == [256]
        assert [token.piece for token in mine.encode("xy")] == [b"x", b"y"]


def test_a_module_called_like_one_of_pythons_is_the_folders(folder: Path) -> None:
    (folder / "textwrap.py").write_text("x = 120\n")
    with opened(change(folder, "encode", "import textwrap; return [textwrap.x]")) as coder:
        assert coder.encode("?")[0].piece == b"x"


def test_nothing_is_written_into_the_folder(folder: Path) -> None:
    (folder / "helper.py").write_text("x = 1\n")
    with opened(change(folder, "encode", "import helper")) as coder:
        coder.encode("abc")
        coder.train(["abc"], 300)
    assert sorted(path.name for path in folder.iterdir()) == ["helper.py", "tokenizer.py"]


def test_the_current_folder_and_pythonpath_slip_nothing_in(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with opened(Code(folder, mine=True)) as coder:
        assert len(coder.encode("abc")) == 3


def test_printing_and_reading_do_not_disturb(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    body = "import os, sys; print('{}'); os.write(1, b'[]'); print(repr(sys.stdin.read()))"
    with opened(change(folder, "encode", body)) as coder:
        assert len(coder.encode("abc")) == 3
        assert len(coder.encode("abcd")) == 4
    out, err = capfd.readouterr()
    assert out == ""
    assert "{}" in err
    assert "''" in err


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise KeyError('ab')", "tokenizer.py:7: KeyError: 'ab'"),
        ("raise NotImplementedError('codec')", "tokenizer.py:7: not written yet: codec."),
        ("raise SystemExit(0)", "tokenizer.py:7: SystemExit: 0"),
        ("raise ValueError('\\x1b[2J')", r"tokenizer.py:7: ValueError: \x1b[2J"),
        ("return self.encode(text)", "tokenizer.py:7: RecursionError: maximum recursion depth exceeded"),
        ("import json; json.loads('{')", "tokenizer.py:7: JSONDecodeError: "),
        ("return [1.5]", "TypeError: an id is a whole number, not 1.5"),
        ("return [True]", "TypeError: an id is a whole number, not True"),
        ("return [999]", "ValueError: encode gave the id 999, which is not in vocab"),
        ("return None", "TypeError: "),
        ("import os; os._exit(7)", "ended without an answer (exit code 7)."),
    ],
)
def test_a_crash_is_a_message_with_its_place(folder: Path, body: str, says: str) -> None:
    with opened(change(folder, "encode", body)) as coder, pytest.raises(CohortError) as raised:
        coder.encode("abc")
    assert says in raised.value.message
    assert str(folder) in raised.value.message
    assert raised.value.exit_code == 1
    assert "\n" not in raised.value.message


@pytest.mark.skipif(os.name != "posix", reason="signals of Windows are others")
def test_a_process_that_a_signal_ends_is_named(folder: Path) -> None:
    body = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    with (
        opened(change(folder, "encode", body)) as coder,
        pytest.raises(CohortError, match=r"was ended by SIGSEGV\."),
    ):
        coder.encode("abc")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def f(:\n", "tokenizer.py:1: SyntaxError: "),
        ("import nowhere\n", "tokenizer.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("", "AttributeError: module 'tokenizer' has no attribute 'BPETokenizer'"),
        ("import helper\n", "helper.py:2: NameError: "),
    ],
)
def test_code_that_cannot_be_imported(folder: Path, text: str, says: str) -> None:
    (folder / "helper.py").write_text("\nx = y\n")
    (folder / "tokenizer.py").write_text(text)
    with pytest.raises(CohortError) as raised:
        opened(Code(folder, mine=True))
    assert says in raised.value.message


def test_a_folder_without_the_file(folder: Path) -> None:
    (folder / "tokenizer.py").unlink()
    with pytest.raises(CohortError, match="No module named 'tokenizer'"):
        opened(Code(folder, mine=True))


def test_wrong_attributes_are_said(folder: Path) -> None:
    with (
        pytest.raises(CohortError, match="vocab and merges hold bytes, not 'a'"),
        opened(change(folder, "__init__", "vocab = {0: 'a'}")),
    ):
        pass


@pytest.mark.parametrize(
    "body", ["raise ValueError('no')", "next(iter(texts)); raise ValueError('no')"], ids=["first", "second"]
)
def test_training_that_fails_early_ends_early(folder: Path, body: str) -> None:
    """The texts are not sent to their end, and there is no deadlock over a full pipe."""
    sent = 0

    def documents() -> Iterator[str]:
        nonlocal sent
        for _ in range(200):
            sent += 1
            yield "a" * 1_000_000

    with opened(change(folder, "train", body)) as coder, pytest.raises(CohortError, match="ValueError: no"):
        coder.train(documents(), 300)
    assert sent < 100


def test_training_that_reads_nothing_still_answers(folder: Path) -> None:
    with opened(change(folder, "train", "return cls({}, [])")) as coder:
        coder.train(("a" * 100_000 for _ in range(100)), 300)
        assert coder.parts.merges == []
        coder.save(folder / "x")  # the next request is not one of the texts
    assert (folder / "x").read_text() == "saved"


def test_documents_arrive_one_by_one_and_in_order(folder: Path) -> None:
    words = [f"{chr(65 + n % 26)}{chr(97 + n % 25)}" + "…" * (n % 999) for n in range(3000)]
    with opened(Code(folder, mine=True)) as coder:
        coder.train(words, 300)
        assert coder.parts.merges == [(word[0].encode(), word[1].encode()) for word in words]


def test_values_of_the_kits_own_code_are_the_users_to_repair(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text('{"format": "cohort.tokenizer/9"}')
    with Coder(sources.reference()) as coder, pytest.raises(UsageError) as raised:
        coder.open_saved(path)
    assert raised.value.message.startswith(f"{path} is not a whole tokenizer file: its format is")
    assert not raised.value.message.endswith("..")


def test_closing_ends_a_process_that_is_busy(folder: Path) -> None:
    coder = opened(change(folder, "encode", "while True: pass"))
    coder._send({"do": "encode", "text": "", "special": False})
    process = psutil.Process(coder._process.pid)
    coder.close()
    assert not process.is_running()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_the_process_ends_with_the_one_that_started_it(folder: Path) -> None:
    change(folder, "train", "list(texts)\n        while True: pass")
    code = f"""
from pathlib import Path
from cohort_cli.tokens.client import Code, Coder
coder = Coder(Code(Path({str(folder)!r}), True))
print(coder._process.pid, flush=True)
coder.train(["ab"], 300)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    time.sleep(0.5)
    assert worker.is_running()
    parent.kill()
    parent.wait()
    worker.wait(timeout=10)


TRAIN = b'{"do": "train", "vocab_size": 300, "options": {}}\n'


@pytest.mark.parametrize("data", [b"", b"{", b'{"do": "encode", "te', TRAIN + b'{"texts": ["a'])
def test_the_process_ends_when_its_input_ends_in_the_middle_of_a_request(folder: Path, data: bytes) -> None:
    """What is left of a command that was killed while it wrote."""
    command = [sys.executable, "-m", "cohort_cli.tokens.worker", str(folder)]
    done = subprocess.run(command, input=data, capture_output=True, timeout=20, check=False)
    assert (done.stdout, done.stderr) == (b"", b"")
