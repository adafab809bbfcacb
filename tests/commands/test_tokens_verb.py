"""`cohort tokens`: a text and its cuts, from every kind of text and every kind of tokenizer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import REPO, Cohort

from cohort_cli import planting
from cohort_cli.catalog import find_project
from cohort_cli.workspace import Workspace

HELLO = [15496, 995]  # "Hello world" for GPT-2


@pytest.fixture
def member(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in which project1 is started; it is the current folder."""
    made = planting.create(tmp_path / "my-llm").workspace
    planting.start(made, find_project("project1"))
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def finished(member: Workspace) -> Path:
    """The member's folder, with code that works."""
    project = find_project("project1")
    folder = member.project_folder(project)
    for path in project.reference.glob("*.py"):
        shutil.copy(path, folder)
    return folder


def ids(cohort: Cohort, *words: str) -> list[list[int]]:
    ended = cohort("tokens", "--json", *words)
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    return [[token["id"] for token in one["tokens"]] for one in json.loads(ended.out)["tokenizers"]]


def test_the_help_shows_what_really_comes_out(home: Path, cohort: Cohort) -> None:
    example = cohort("tokens", "--help").out.partition('  $ cohort tokens "Tokenizers don\'t count."\n')[2]
    shown = "\n".join(line[2:] for line in example.splitlines())
    assert cohort("tokens", "Tokenizers don't count.").out.strip() == shown.strip()


def test_a_text_a_file_and_standard_input(
    home: Path, cohort: Cohort, cohort_process: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "hello.txt").write_bytes(b"Hello world\r\n")
    assert ids(cohort, "Hello world") == [HELLO]
    assert ids(cohort, "hello.txt") == [[*HELLO, 201, 198]], "line ends are kept"
    command = [sys.executable, "-m", "cohort_cli", "tokens", "-", "--json"]
    done = subprocess.run(command, input=b"Hello world", capture_output=True, check=True, cwd=REPO)
    assert [token["id"] for token in json.loads(done.stdout)["tokenizers"][0]["tokens"]] == HELLO


@pytest.mark.parametrize("text", ["", "nowhere.txt", ".", "a" * 5000, "x\x00y", "--"])
def test_what_is_no_file_is_a_text(home: Path, cohort: Cohort, text: str) -> None:
    ended = cohort("tokens", "--json", "--", text)
    tokens = json.loads(ended.out)["tokenizers"][0]["tokens"]
    assert b"".join(bytes.fromhex(token["bytes"]) for token in tokens) == text.encode()


def test_an_empty_text_has_no_tokens(home: Path, cohort: Cohort) -> None:
    ended = cohort("tokens", "")
    assert (ended.code, ended.err) == (0, "")
    assert "0 characters · 0 bytes · 0 tokens · - bytes per token" in ended.out


@pytest.mark.parametrize(("data", "byte"), [(b"abc\xff", "byte 3 is 0xff"), (b"\xe2\x82", "byte 0 is 0xe2")])
def test_a_file_that_is_not_utf8(home: Path, cohort: Cohort, data: bytes, byte: str) -> None:
    (home / "latin.txt").write_bytes(data)
    ended = cohort("tokens", "latin.txt")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"cohort: latin.txt is not UTF-8 text: {byte}.\n  Save it as UTF-8")


def test_half_a_character_is_no_text(home: Path, cohort: Cohort) -> None:
    ended = cohort("tokens", "a\udcff")
    assert (ended.code, ended.out) == (2, "")
    assert "not UTF-8" in ended.err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="this user may read everything")
def test_a_file_that_cannot_be_read(home: Path, cohort: Cohort) -> None:
    (home / "locked.txt").write_text("x")
    (home / "locked.txt").chmod(0)
    assert cohort("tokens", "locked.txt").code == 2


def test_special_tokens_are_text_until_they_are_allowed(home: Path, cohort: Cohort) -> None:
    text = "a<|endoftext|>"
    assert 50256 not in ids(cohort, text)[0]
    assert ids(cohort, text, "--special") == [[64, 50256]]
    assert "\nSpecial tokens in the text are text (--special makes" in cohort("tokens", text).out
    assert "\nSpecial tokens in the text are tokens" in cohort("tokens", text, "--special").out


def test_long_input_is_cut_off_and_said(home: Path, cohort: Cohort) -> None:
    ended = cohort("tokens", "a " * 300)
    assert len(re.findall(r'^ *\d+ .*"$', ended.out, re.MULTILINE)) == 200
    assert "101 more tokens are left out (--limit 200)." in ended.out
    assert "600 characters · 600 bytes · 301 tokens · 1.99 bytes per token" in ended.out
    ended = cohort("tokens", "a b c", "--limit", "2")
    assert ended.out.splitlines()[0] == "a| b"
    assert "1 more" not in cohort("tokens", "a b c", "--limit", "3").out
    assert len(ids(cohort, "a " * 300)[0]) == 301, "--json has all"


def test_nothing_in_a_text_steers_the_terminal(home: Path, cohort: Cohort) -> None:
    ended = cohort("tokens", "\x1b[2J\u202e日\x07")
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ended.out) == []
    assert r"\x1b" in ended.out
    assert r"\xe6" in ended.out


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals(home: Path, environment: dict[str, str], coloured: bool) -> None:
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-m", "cohort_cli", "tokens", "Hello world"]
    env = {**os.environ, "PYTHONPATH": str(REPO), "TERM": "xterm", **environment}
    subprocess.run(command, stdout=child, env=env, check=True)
    os.close(child)
    first = os.read(parent, 10_000).decode().splitlines()[0]
    os.close(parent)
    assert ("\x1b[30;48;5;153mHello\x1b[0m\x1b[30;48;5;222m world" in first) == coloured
    assert (first == "Hello| world") == (not coloured)


# --- tokenizers ---------------------------------------------------------------------------------------------


def test_two_are_compared(home: Path, cohort: Cohort) -> None:
    cohort("tokenizer", "train", "embedded", "--vocab-size", "300", "--out", "small.json")
    ended = cohort("tokens", "We learn merges.", "--tokenizer", "gpt2", "--tokenizer", "small.json")
    assert (ended.code, ended.err) == (0, "")
    assert "gpt2:\nWe| learn| mer|ges|.\n" in ended.out
    assert re.search(r"^gpt2 +5 +3\.20$", ended.out, re.MULTILINE)
    assert re.search(r"^small\.json +\d+ +\d\.\d\d$", ended.out, re.MULTILINE)
    assert 'The first differing cut is at byte 0: gpt2 takes "We", small.json takes "W".' in ended.out
    same = cohort("tokens", "We learn.", "--tokenizer", "gpt2", "--tokenizer", "gpt2")
    assert "Both cut at the same places." in same.out
    found = json.loads(
        cohort("tokens", "ab We", "--tokenizer", "gpt2", "--tokenizer", "small.json", "--json").out
    )
    assert found["first_difference"] == {"byte": 0, "bytes": ["6162", "61"]}
    assert [one["name"] for one in found["tokenizers"]] == ["gpt2", "small.json"]


def test_three_are_too_many(home: Path, cohort: Cohort) -> None:
    ended = cohort("tokens", "x", *["--tokenizer", "gpt2"] * 3)
    assert (ended.code, ended.out) == (2, "")


@pytest.mark.slow
def test_files_of_other_libraries(home: Path, cohort: Cohort) -> None:
    for kind in ("huggingface", "tiktoken"):
        assert cohort("tokenizer", "export", "gpt2", "--to", kind, "--out", f"gpt2.{kind}").code == 0
        assert ids(cohort, "Hello world", "--tokenizer", f"gpt2.{kind}") == [HELLO]
    ended = cohort("tokens", "Hello", "--tokenizer", "gpt2.tiktoken")
    assert ended.err == (
        "gpt2.tiktoken: It holds ranks only: GPT-2's pattern is assumed, and there are no special tokens.\n"
    )
    text = "<|endoftext|>"
    assert ids(cohort, text, "--special", "--tokenizer", "gpt2.huggingface") == [[50256]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "There is no tokenizer 'x.json'."),
        (b"", "x.json is no tokenizer that can be read: it is neither JSON nor"),
        (b"\xff", "it is not UTF-8 text"),
        (b'{"model": {"type": "Unigram"}}', "not ByteLevel"),
        (b'{"format": "cohort.tokenizer/2"}', "its format is 'cohort.tokenizer/2'"),
        (b"IQ== 0\n", "the ranks lack the byte 0"),
    ],
)
def test_a_file_that_is_no_tokenizer(home: Path, cohort: Cohort, content: bytes | None, says: str) -> None:
    if content is not None:
        (home / "x.json").write_bytes(content)
    ended = cohort("tokens", "x", "--tokenizer", "x.json")
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert "Traceback" not in ended.err


def test_mine_needs_a_workspace_a_project_and_a_training(
    home: Path, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("tokens", "x", "--tokenizer", "mine")
    assert cohort(*words).code == 3
    made = planting.create(tmp_path / "my-llm").workspace
    monkeypatch.chdir(made.root)
    ended = cohort(*words)
    assert (ended.code, ended.err.splitlines()[1]) == (2, "  cohort start project1")
    planting.start(made, find_project("project1"))
    ended = cohort(*words)
    assert (ended.code, ended.err.splitlines()[1]) == (2, "  cohort tokenizer train embedded")


def test_code_that_is_not_written_yet(member: Workspace, cohort: Cohort) -> None:
    folder = member.project_folder(find_project("project1"))
    (folder / "tokenizer.json").write_text("{}")
    ended = cohort("tokens", "x", "--tokenizer", "mine")
    assert (ended.code, ended.out) == (1, "")
    assert re.match(r"cohort: \S+/tokenizer\.py:\d+: not written yet: ", ended.err)
    assert "Traceback" not in ended.err


def test_mine_is_the_members_code_and_file(finished: Path, cohort: Cohort) -> None:
    assert cohort("tokenizer", "train", "embedded").code == 0
    assert len(ids(cohort, "the the", "--tokenizer", "mine")[0]) < 4
    path = finished / "tokenizer.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("        ids: list[int] = []\n", "        1 / 0\n", 1), encoding="utf-8")
    ended = cohort("tokens", "the", "--tokenizer", "mine")
    line = path.read_text(encoding="utf-8").splitlines().index("        1 / 0") + 1
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[0] == f"cohort: {path}:{line}: ZeroDivisionError: division by zero"


def test_tokens_that_lose_something_are_noticed(finished: Path, cohort: Cohort) -> None:
    assert cohort("tokenizer", "train", "embedded").code == 0
    path = finished / "tokenizer.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("        ids: list[int] = []\n", "        return [65]\n", 1), encoding="utf-8"
    )
    assert "do not give the text back" in cohort("tokens", "the", "--tokenizer", "mine").err
    assert cohort("tokens", "A", "--tokenizer", "mine").err == ""


def test_the_next_line_leads_on(finished: Path, cohort: Cohort) -> None:
    def next_line(*words: str) -> str:
        return cohort("tokens", "x", *words).out.splitlines()[-1]

    assert next_line() == "next: cohort tokenizer train embedded"
    cohort("tokenizer", "train", "embedded")
    assert next_line() == 'next: cohort tokens "…" --tokenizer gpt2 --tokenizer mine'
    assert next_line("--tokenizer", "mine") == "next: cohort tokenizer experiment vocab-size"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_pipe_is_no_tokenizer(home: Path, cohort: Cohort) -> None:
    os.mkfifo("pipe")  # reading it would wait for ever
    ended = cohort("tokens", "hi", "--tokenizer", "pipe")
    assert ended.code == 2
    assert "pipe is no ordinary file" in ended.err


def test_without_a_standard_input(home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    ended = cohort("tokens", "-")
    assert ended.code == 2
    assert "There is no standard input." in ended.err
