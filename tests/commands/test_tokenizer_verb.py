"""`cohort tokenizer`: what is trained appears whole or not at all, and everything bad is said before that."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import tokenizers
from support import REPO, Cohort, Ended

from cohort_cli import planting
from cohort_cli.catalog import find_project
from cohort_cli.training import corpus

TEXT = "the cat sat on the mat, the hat at that. " * 30
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPO)}


@pytest.fixture
def text(home: Path) -> Path:
    path = home / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def finished(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The member's project folder, with code that works; its workspace is the current folder."""
    made = planting.create(tmp_path / "my-llm").workspace
    project = find_project("project1")
    planting.start(made, project)
    folder = made.project_folder(project)
    for path in project.reference.glob("*.py"):
        shutil.copy(path, folder)
    monkeypatch.chdir(made.root)
    return folder


def train(cohort: Cohort, *words: str) -> Ended:
    return cohort("tokenizer", "train", *words)


def content(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- train --------------------------------------------------------------------------------------------------


def test_the_embedded_corpus(home: Path, cohort: Cohort) -> None:
    ended = train(cohort, "embedded")
    assert (ended.code, ended.err) == (0, "")
    size = len(corpus.load().encode())
    assert ended.out.startswith(
        f"documents      1\nbytes          {size:,}\nvocabulary     1,024: 256 bytes, 767 "
    )
    assert re.search(r"^seconds +\d+\.\d$", ended.out, re.MULTILINE)
    for line in ("first merges", "last merges"):
        merges = re.search(rf"^{line} +(.*)$", ended.out, re.MULTILINE)
        assert merges is not None
        assert len(re.findall(r'"[^"]+"\+"[^"]+"', merges[1])) == 5
    assert re.search(r'^longest token  ".*" \(\d+ bytes\)$', ended.out, re.MULTILINE)
    assert ended.out.splitlines()[-2:] == [
        "written        tokenizer.json",
        'next: cohort tokens "…" --tokenizer tokenizer.json',
    ]
    assert entries(home) == ["tokenizer.json"]
    assert len(content(home / "tokenizer.json")["merges"]) == 767  # type: ignore[arg-type]


def test_options_reach_the_training(text: Path, cohort: Cohort) -> None:
    options = [
        "--vocab-size",
        "270",
        "--special",
        "<|a|>",
        "--special",
        "<|b|>",
        "--no-words",
        "--out",
        "x.json",
    ]
    assert train(cohort, "text.txt", *options).code == 0
    found = content(text.parent / "x.json")
    assert found["special_tokens"] == {"<|a|>": 268, "<|b|>": 269}
    assert found["pattern"] is None
    assert len(found["merges"]) == 12  # type: ignore[arg-type]


def test_several_files_and_lines_are_documents(text: Path, cohort: Cohort) -> None:
    (text.parent / "lines.txt").write_bytes("äb\r\ncd\n\nef".encode())
    assert train(cohort, "text.txt", "lines.txt").out.startswith("documents      2\n")
    ended = train(cohort, "lines.txt", "--lines", "--no-words", "--force")
    assert ended.out.startswith("documents      3\nbytes          7\n")
    assert "(1,024 were asked for; the texts have no more pairs)" in ended.out
    merged = {line.replace(" ", "") for line in content(text.parent / "tokenizer.json")["merges"]}  # type: ignore[attr-defined]
    assert {"cd", "ef"} <= merged
    assert not any("d" in piece and "e" in piece for piece in merged), "no merge crosses lines"


def test_mine_is_the_default_where_there_is_a_workspace(finished: Path, cohort: Cohort) -> None:
    ended = train(cohort, "embedded", "--vocab-size", "300")
    assert ended.out.splitlines()[-2:] == [
        "written        project1_bpe_tokenizer/tokenizer.json",
        'next: cohort tokens "…" --tokenizer mine',
    ]
    assert not list(finished.glob("__pycache__"))
    path = finished / "tokenizer.py"
    path.write_text(
        path.read_text(encoding="utf-8").replace("n_merges < 0", "(n_merges := 3) < 0"), encoding="utf-8"
    )
    assert "3 merges" in train(cohort, "embedded", "--force").out
    ended = train(cohort, "embedded", "--code", "reference")
    assert "767 merges" in ended.out
    assert ended.out.splitlines()[-1] == 'next: cohort tokens "…" --tokenizer tokenizer.json'


def test_an_old_file_is_replaced_only_with_force(text: Path, cohort: Cohort) -> None:
    (text.parent / "tokenizer.json").write_text("old")
    ended = train(cohort, "text.txt")
    assert (ended.code, ended.out) == (2, "")
    assert "tokenizer.json exists." in ended.err
    assert "--force" in ended.err
    assert (text.parent / "tokenizer.json").read_text() == "old"
    assert train(cohort, "text.txt", "--force").code == 0
    assert content(text.parent / "tokenizer.json")["format"] == "cohort.tokenizer/1"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["text.txt", "--vocab-size", "257"], "1 special token and one merge need 258."),
        (["text.txt", "--vocab-size", "-1"], "need 258"),
        (["text.txt", "--special", "a", "--special", "a"], "given twice"),
        (["text.txt", "--special", ""], "empty"),
        (["nowhere.txt"], "nowhere.txt does not exist."),
        (["."], ". is a folder, not a text file."),
        (["text.txt", "latin.txt"], "latin.txt is not UTF-8 text: byte 2 is 0xe4."),
        (["latin.txt", "--lines"], "latin.txt, line 2, is not UTF-8 text: byte 0 is 0xe4."),
        (["empty.txt"], "nothing to learn"),
        (["bytes.txt", "--lines"], "nothing to learn"),
        (["text.txt", "--out", "nowhere/x.json"], "There is no folder"),
        (["text.txt", "--out", "."], ". is a folder."),
        (["text.txt", "--code", "yours"], "There is no code 'yours'."),
        ([], "CORPUS"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    text: Path, cohort: Cohort, words: list[str], says: str
) -> None:
    (text.parent / "latin.txt").write_bytes(b"a\n\xe4")
    (text.parent / "empty.txt").write_bytes(b"")
    (text.parent / "bytes.txt").write_bytes(b"a\nb\nc\n")
    before = entries(text.parent)
    ended = train(cohort, *words)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert entries(text.parent) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
@pytest.mark.parametrize("words", [["train", "text.txt"], ["export", "gpt2", "--to", "tiktoken"]])
def test_only_an_ordinary_file_is_replaced(text: Path, cohort: Cohort, words: list[str]) -> None:
    os.mkfifo("pipe")
    ended = cohort("tokenizer", *words, "--out", "pipe", "--force")
    assert (ended.code, ended.out) == (2, "")
    assert "pipe is no ordinary file." in ended.err
    assert Path("pipe").is_fifo()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has /proc")
def test_a_place_that_is_no_disk_is_the_users_to_change(text: Path, cohort: Cohort) -> None:
    for words in (["train", "text.txt"], ["export", "gpt2", "--to", "tiktoken"]):
        ended = cohort("tokenizer", *words, "--out", "/proc/mine.json")
        assert ended.code == 2
        assert "/proc/mine.json cannot be written" in ended.err


def test_a_save_that_writes_nothing_is_said(finished: Path, cohort: Cohort) -> None:
    code = finished / "tokenizer.py"
    code.write_text(code.read_text(encoding="utf-8") + "\nBPETokenizer.save = lambda self, path: None\n")
    ended = train(cohort, "embedded", "--vocab-size", "300")
    assert ended.code == 2
    assert "`save` made no file" in ended.err
    assert not (finished / "tokenizer.json").exists()


def test_a_strangers_pattern_and_file_name_do_not_steer_the_terminal(home: Path, cohort: Cohort) -> None:
    name = "x\x1b[2J.json"
    assert train(cohort, "embedded", "--vocab-size", "300", "--out", name).code == 0
    saved = content(Path(name))
    Path(name).write_text(json.dumps({**saved, "pattern": "\x1b|\n|.+"}), encoding="utf-8")
    for code, *words in (
        (0, "tokenizer", "export", name, "--to", "tiktoken", "--out", "y\x07.ranks"),
        (0, "tokens", "a b", "--tokenizer", name, "--tokenizer", "y\x07.ranks"),
        (2, "tokenizer", "train", "no\x1b[2J"),
        (2, "tokens", "a b", "--tokenizer", "no\x1b[2J"),
    ):
        ended = cohort(*words)
        assert ended.code == code
        assert "\\x" in ended.out + ended.err or "\\u001b" in ended.out
        assert not set("\x1b\x07") & set(ended.out + ended.err), words


def test_a_members_code_that_fails_leaves_nothing(finished: Path, cohort: Cohort) -> None:
    path = finished / "tokenizer.py"
    whole = path.read_text(encoding="utf-8")
    half = '        open(path, "w").write("{")\n        raise OSError("disk")\n'
    at = whole.index("        content = {\n", whole.index("def save("))
    for text, code in ((whole[:at] + half + whole[at:], 1), (whole.replace("n_merges < 0", "True"), 1)):
        path.write_text(text, encoding="utf-8")
        before = entries(finished)
        ended = train(cohort, "embedded", "--vocab-size", "300")
        assert (ended.code, ended.out) == (code, "")
        assert "tokenizer.py:" in ended.err
        assert entries(finished) == before


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
def test_progress_is_drawn_on_a_terminal_only(text: Path) -> None:
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-m", "cohort_cli", "tokenizer", "train", "embedded"]
    environment = {**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=child, env=environment, check=True)
    os.close(child)
    shown = os.read(parent, 100_000).decode()
    os.close(parent)
    assert "reading" in shown or "learning merges" in shown
    assert b"learning" not in done.stdout


# --- train, stopped -----------------------------------------------------------------------------------------

# Words that all differ, so that training takes some seconds.
SLOW = """
import random
chance = random.Random(1)
letters = "abcdefghijklmnopqrstuvwxyz"
print(" ".join("".join(chance.choices(letters, k=9)) for _ in range(15_000)))
"""


@pytest.fixture
def slow(home: Path) -> Path:
    path = home / "slow.txt"
    path.write_bytes(subprocess.check_output([sys.executable, "-c", SLOW]))
    return path


def start(out: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cohort_cli", "tokenizer", "train", "slow.txt", "--out", out, *words]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def await_worker(process: subprocess.Popen[str]) -> psutil.Process:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if children := psutil.Process(process.pid).children():
            return children[0]
        time.sleep(0.005)
    raise AssertionError("there is no worker")


def assert_whole_or_absent(path: Path) -> bool:
    """Whether the file is there; if it is, it is whole."""
    if not path.exists():
        return False
    assert len(content(path)["merges"]) == 8_000 - 257  # type: ignore[arg-type]
    return True


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_training_leaves_no_file_that_loads(slow: Path) -> None:
    """Killed at moments spread over a whole run: while it starts, reads, learns, and writes."""
    started = time.monotonic()
    whole = start("whole.json", "--vocab-size", "8000")
    assert whole.wait() == 0
    seconds = time.monotonic() - started
    assert assert_whole_or_absent(slow.parent / "whole.json")
    killed = 0
    for moment in range(8):
        out = slow.parent / f"out{moment}.json"
        process = start(out.name, "--vocab-size", "8000")
        time.sleep(seconds * (moment + 0.5) / 8.5)
        workers = psutil.Process(process.pid).children()
        process.kill()
        process.communicate()
        for worker in workers:
            worker.wait(timeout=20)
        killed += not assert_whole_or_absent(out)
    assert killed >= 4


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_killed_while_saving_half_a_file_is_not_there(finished: Path) -> None:
    """A member's `save` that writes slowly, and not beside the file: half of it is never called tokenizer.json."""
    path = finished / "tokenizer.py"
    text = path.read_text(encoding="utf-8")
    slowly = (
        "        import time\n        file = open(path, 'w')\n        file.write('{}')\n"
        "        file.flush()\n        time.sleep(60)\n"
    )
    at = text.index("        content = {\n", text.index("def save("))
    path.write_text(text[:at] + slowly + text[at:], encoding="utf-8")
    (finished / "tokenizer.json").write_text("old")
    command = [sys.executable, "-m", "cohort_cli", "tokenizer", "train", "embedded", "--force"]
    for stop, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 30
        while not list(finished.glob(".tokenizer.json-*/tokenizer.json")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(stop)
        process.communicate(timeout=20)
        assert process.returncode == code
        assert (finished / "tokenizer.json").read_text() == "old"
        left = list(finished.glob(".tokenizer.json-*"))
        assert bool(left) == (stop is signal.SIGKILL), "what is interrupted cleans up; what is killed cannot"
        for folder in left:
            shutil.rmtree(folder)


@pytest.mark.skipif(os.name != "posix", reason="signals of Windows are others")
@pytest.mark.parametrize("moment", [0.0, 0.1])
def test_ctrl_c_ends_with_130_and_leaves_nothing(slow: Path, moment: float) -> None:
    process = start("out.json", "--vocab-size", "8000")
    worker = await_worker(process)
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("cohort: Interrupted.")
    assert "Traceback" not in err
    assert entries(slow.parent) == ["slow.txt"]
    worker.wait(timeout=5)


@pytest.mark.skipif(os.name != "posix", reason="signals of Windows are others")
def test_ctrl_c_while_merges_are_learned(finished: Path) -> None:
    """The signal reaches the command alone or the whole terminal; the learning ends with it in both cases."""
    path = finished / "tokenizer.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("fast.learn_merges(", "__import__('time').sleep(60) or (", 1), encoding="utf-8"
    )
    before = entries(finished)
    command = [sys.executable, "-m", "cohort_cli", "tokenizer", "train", "embedded"]
    starting = [(os.killpg, moment / 100) for moment in range(8)]
    for send, moment in [(os.kill, 1), (os.killpg, 1), *starting]:
        process = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        worker = await_worker(process)
        time.sleep(moment)
        send(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (130, "")
        assert err == "cohort: Interrupted. What was finished before is kept.\n"
        assert entries(finished) == before
        worker.wait(timeout=5)


# --- export -------------------------------------------------------------------------------------------------


def test_exporting(text: Path, cohort: Cohort) -> None:
    train(cohort, "text.txt", "--vocab-size", "270")
    ended = cohort("tokenizer", "export", "tokenizer.json", "--to", "huggingface", "--out", "hf.json")
    assert (ended.code, ended.out.splitlines()) == (
        0,
        ["hf.json: 270 tokens, 13 merges", 'next: cohort tokens "…" --tokenizer hf.json'],
    )
    assert tokenizers.Tokenizer.from_file("hf.json").get_vocab_size() == 270
    ended = cohort("tokenizer", "export", "hf.json", "--to", "tiktoken", "--out", "ranks.txt")
    assert ended.out.splitlines()[0] == "ranks.txt: 269 ranks"
    assert ended.out.splitlines()[2] == 'special_tokens  {"<|endoftext|>": 269}'
    assert entries(text.parent) == ["hf.json", "ranks.txt", "text.txt", "tokenizer.json"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gpt2", "--to", "hugingface", "--out", "x"], "Did you mean huggingface?"),
        (["gpt2", "--to", "tiktoken", "--out", "text.txt"], "text.txt exists."),
        (["text.txt", "--to", "tiktoken", "--out", "x"], "text.txt is no tokenizer"),
        (["gpt2", "--to", "tiktoken", "--out", "nowhere/x"], "There is no folder"),
        (["gpt2", "--to", "tiktoken"], "--out"),
    ],
)
def test_what_cannot_be_exported(text: Path, cohort: Cohort, words: list[str], says: str) -> None:
    ended = cohort("tokenizer", "export", *words)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert entries(text.parent) == ["text.txt"]


def test_parts_that_a_format_cannot_hold(home: Path, cohort: Cohort) -> None:
    (home / "text.txt").write_text("xyz ab " * 9)
    train(cohort, "text.txt", "--special", "a", "--vocab-size", "260")
    ended = cohort("tokenizer", "export", "tokenizer.json", "--to", "huggingface", "--out", "x")
    assert (ended.code, ended.out) == (2, "")
    assert "cannot be written in this format" in ended.err
    assert not (home / "x").exists()


# --- experiment ---------------------------------------------------------------------------------------------


def test_an_experiment_prints_and_writes(home: Path, cohort: Cohort) -> None:
    (home / "one.txt").write_text(TEXT * 3, encoding="utf-8")
    ended = cohort("tokenizer", "experiment", "vocab-size", "--corpus", "cats=one.txt")
    assert ended.code == 0
    assert re.search(r"^cats +256 +256 +1\.00", ended.out, re.MULTILINE)
    assert "cats: vocabulary of 4096\n" in ended.err
    assert ended.out.splitlines()[-1] == "next: open experiments/tokenizer-vocab-size/figure.svg"
    assert entries(home / "experiments" / "tokenizer-vocab-size") == ["figure.svg", "table.csv", "table.md"]
    assert cohort("tokenizer", "experiment", "ties", "--corpus", "c=one.txt", "--out", "t").code == 0
    assert entries(home / "t") == ["figure.svg", "table.csv", "table.md"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["vocabs"], 2, "Did you mean vocab-size?"),
        (["ties", "--corpus", "text.txt"], 2, "not NAME=FILE"),
        (["ties", "--corpus", "t=nowhere"], 2, "nowhere does not exist"),
        (["domains", "--corpus", "t=text.txt"], 2, "needs two"),
    ],
)
def test_an_experiment_that_cannot_be(
    text: Path, cohort: Cohort, words: list[str], code: int, says: str
) -> None:
    ended = cohort("tokenizer", "experiment", *words)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert entries(text.parent) == ["text.txt"]


@pytest.mark.parametrize(("missing", "name"), [("matplotlib", "ties"), ("tokenizers", "algorithms")])
def test_a_missing_library_names_the_extra(
    text: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch, missing: str, name: str
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == missing else find(name, *rest)
    )
    ended = cohort("tokenizer", "experiment", name, "--corpus", "t=text.txt")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.splitlines()[-1] == '  pip install "cohort-kit[experiments]"'


def test_an_experiment_uses_the_members_code(finished: Path, cohort: Cohort) -> None:
    path = finished / "tokenizer.py"
    path.write_text(
        path.read_text(encoding="utf-8").replace("n_merges < 0", "(n_merges := 0) < 0"), encoding="utf-8"
    )
    (finished.parent / "text.txt").write_text(TEXT, encoding="utf-8")
    words = ("tokenizer", "experiment", "vocab-size", "--corpus", "t=text.txt")
    assert " 1.00 " in cohort(*words).out.splitlines()[6]
    assert " 1.00 " not in cohort(*words, "--code", "reference").out.splitlines()[6]
