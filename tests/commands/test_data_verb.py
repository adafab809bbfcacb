"""`cohort data`: what it shows, what it leaves behind, and how it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import REPO, Cohort

from cohort_cli.training import corpus
from cohort_cli.training.data.sources import CORPORA


def environment(**more: str) -> dict[str, str]:
    """For a process of its own, which must keep its data where the test does."""
    return {**os.environ, "PYTHONPATH": str(REPO), **more}


@pytest.fixture(autouse=True)
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COHORT_DATA", str(home / "data"))
    return home / "data"


def folders(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.suffix != ".lock")


# --- list -----------------------------------------------------------------------------------------------------


def test_list_says_size_and_licence_of_each_corpus(cohort: Cohort) -> None:
    ended = cohort("data", "list")
    assert (ended.code, ended.err) == (0, "")
    for name, found in CORPORA.items():
        lines = [name, found.title, found.size, found.licence]
        assert re.search(r"\s+".join(map(re.escape, lines)), ended.out)
    assert "Nothing is prepared in data yet." in ended.out
    assert ended.out.splitlines()[-1] == "next: cohort data prepare embedded"
    assert max(map(len, ended.out.splitlines())) <= 80


def test_list_shows_what_is_prepared_and_what_is_damaged(place: Path, cohort: Cohort) -> None:
    cohort("data", "prepare", "embedded")
    cohort("data", "prepare", "embedded", "--tokenizer", "gpt2")
    whole, damaged = folders(place)
    (place / damaged / "manifest.json").write_text("{", encoding="utf-8")
    ended = cohort("data", "list")
    assert re.search(rf"^ +{len(corpus.load()):,} tokens +0\.9 MB  {whole}$", ended.out, re.MULTILINE)
    assert f"  {damaged} is damaged: " in ended.out
    assert ended.out.splitlines()[-1] == "next: cohort data verify"


# --- prepare --------------------------------------------------------------------------------------------------


def test_prepare_reports_what_training_will_read(place: Path, cohort: Cohort) -> None:
    ended = cohort("data", "prepare", "embedded")
    train, validation = corpus.split(corpus.load())
    (name,) = folders(place)
    assert ended.out.splitlines() == [
        f"tokenizer   characters, {len(set(train)) + 1} ids of 16 bits",
        f"train       {len(train):,} tokens, {len(train.encode()):,} bytes of text, 1 document",
        f"validation  {len(validation):,} tokens, {len(validation.encode()):,} bytes of text, 1 document",
        f"per token   {len(train.encode()) / len(train):.2f} bytes",
        f"folder      data/{name}".replace("/", os.sep),
        "next: cohort train project3 --set data.source=embedded",
    ]
    assert ended.err == "The English prose of Python's documentation. Licence: PSF-2.0.\n"
    again = cohort("data", "prepare", "embedded")
    assert (again.out, again.err, again.code) == (ended.out, "", 0)


def test_options_reach_the_preparation(place: Path, home: Path, cohort: Cohort) -> None:
    (home / "my texts.jsonl").write_text('{"story": "a story here"}\n' * 40, encoding="utf-8")
    options = ["--tokenizer", "gpt2", "--shard-tokens", "50", "--validation-share", "0.25", "--max-tokens", "70",
               "--text-field", "story"]  # fmt: skip
    ended = cohort("data", "prepare", "my texts.jsonl", *options)
    assert ended.code == 0
    assert "train       70 tokens" in ended.out
    (name,) = folders(place)
    assert name.startswith("my_texts-gpt2-")
    assert {path.name for path in (place / name).iterdir()} == {
        "manifest.json", "tokenizer.json", "train_00000.bin", "train_00001.bin", "validation_00000.bin",
    }  # fmt: skip
    assert ended.out.splitlines()[-1] == (
        'next: cohort train project3 --set "data.source=my texts.jsonl" --set data.tokenizer=gpt2 --set '
        "data.shard_tokens=50 --set data.validation_share=0.25 --set data.max_tokens=70 --set data.text_field=story"
    )


def test_again_makes_it_anew(place: Path, cohort: Cohort) -> None:
    cohort("data", "prepare", "embedded")
    (name,) = folders(place)
    before = (place / name / "train_00000.bin").stat()
    (place / name / "note").write_bytes(b"")
    assert cohort("data", "prepare", "embedded", "--again").code == 0
    assert (place / name / "train_00000.bin").stat().st_ino != before.st_ino or os.name == "nt"
    assert not (place / name / "note").exists()
    assert folders(place) == [name]


def test_characters_that_training_did_not_have_are_counted(home: Path, cohort: Cohort) -> None:
    (home / "a.txt").write_text("ab" * 45 + "zzzzzzzzzz", encoding="utf-8")
    assert "10 of them unknown to the tokenizer" in cohort("data", "prepare", "a.txt").out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["embeded"], 2, "Did you mean embedded?"),
        (["embedded", "--tokenizer", "gpt9"], 2, "Write characters, gpt2, mine"),
        (["embedded", "--tokenizer", "mine"], 3, "cohort init"),
        (["embedded", "--validation-share", "1.5"], 2, "between 0 and 1"),
        (["embedded", "--shard-tokens", "0"], 2, "at least 1"),
        (["a.pdf"], 2, ".jsonl"),
        (["a.txt"], 2, "too little text"),
        (["bad.jsonl"], 2, "cannot be read as jsonl"),
    ],
)
def test_a_word_that_is_wrong_leaves_nothing(
    place: Path, home: Path, cohort: Cohort, words: list[str], code: int, says: str
) -> None:
    (home / "a.pdf").write_bytes(b"x")
    (home / "a.txt").write_bytes(b"x")
    (home / "bad.jsonl").write_bytes(b"x")
    ended = cohort("data", "prepare", *words)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert "Traceback" not in ended.err
    assert not place.exists() or folders(place) == []


def test_without_a_network_it_ends_with_8(
    cohort: Cohort, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    ended = cohort("data", "prepare", "tinyshakespeare")
    assert (ended.code, ended.out) == (8, "")
    size = ended.err.index("1.1 MB of text")
    assert size < ended.err.index("cannot be fetched"), "size and licence are said first"
    assert "run the same command again" in ended.err
    assert folders(place) == []


def test_no_torch_is_imported(place: Path) -> None:
    code = "import sys; from cohort_cli import app; app.run(['data', 'prepare', 'embedded']); "
    code += "app.run(['data', 'list']); app.run(['data', 'verify']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=False)
    assert (done.returncode, b"ok " in done.stdout) == (0, True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
def test_a_bar_is_drawn_on_a_terminal(home: Path, terminal: str) -> None:
    import pty

    (home / "a.txt").write_text("some text here. " * 300_000, encoding="utf-8")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cohort_cli", "data", "prepare", "a.txt"]
    process = subprocess.Popen(command, env=environment(TERM=terminal), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:  # how Linux says that the other side is gone
        pass
    assert process.wait() == 0
    assert process.stdout is not None
    assert b"folder" in process.stdout.read()
    process.stdout.close()
    os.close(ours)
    assert (b"tokens" in seen) == (terminal == "xterm")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
def test_ctrl_c_leaves_nothing(home: Path, place: Path) -> None:
    import signal

    (home / "a.txt").write_text("some text here. " * 4_000_000, encoding="utf-8")
    command = [sys.executable, "-m", "cohort_cli", "data", "prepare", "a.txt", "--tokenizer", "gpt2"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (place.exists() and list(place.glob(".*.partial/*.bin"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    assert folders(place) == []


# --- verify ---------------------------------------------------------------------------------------------------


def test_verify_compares_checksums(place: Path, cohort: Cohort) -> None:
    cohort("data", "prepare", "embedded")
    cohort("data", "prepare", "embedded", "--tokenizer", "gpt2")
    characters, gpt2 = folders(place)
    ended = cohort("data", "verify")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"ok     data{os.sep}{characters}, 3 files, 0.9 MB",
        f"ok     data{os.sep}{gpt2}, 3 files, 0.3 MB",
        "next: cohort data list",
    ]
    path = place / gpt2 / "train_00000.bin"
    data = bytearray(path.read_bytes())
    data[1000] ^= 4
    path.write_bytes(data)
    ended = cohort("data", "verify")
    assert ended.code == 8
    lines = ended.out.splitlines()
    assert [line[:6].strip() for line in lines] == ["ok", "WRONG", "", "next:"]
    assert "train_00000.bin" in lines[2]
    assert lines[3] == "next: cohort data prepare embedded --tokenizer gpt2 --again"
    assert cohort("data", "verify", str(place / characters)).code == 0
    assert cohort(*lines[3].split()[2:]).code == 0
    assert cohort("data", "verify").code == 0


def test_verify_of_nothing(home: Path, cohort: Cohort) -> None:
    assert cohort("data", "verify").out == "next: cohort data list\n"
    ended = cohort("data", "verify", "none")
    assert (ended.code, ended.out) == (2, "")
    (home / "empty").mkdir()
    ended = cohort("data", "verify", "empty")
    assert ended.code == 8
    assert "manifest.json is missing" in ended.out
