"""`cohort generate` and `cohort chat` on a run that was really trained."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import REPO, Cohort

from cohort_cli.training.runs import RunFolder


def steers(text: str) -> bool:
    return any(c in text for c in ("\x1b", "\x07", "\u202e", "\r"))


def test_text_on_stdout_the_rest_on_stderr(runs: Path, cohort: Cohort) -> None:
    ended = cohort("generate", "small", "--prompt", "The ", "--tokens", "20")
    assert ended.code == 0, ended.err
    sample = RunFolder.open(runs / "small").read_samples()[-1]["text"]
    assert ended.out == f"{sample}\nnext: cohort evaluate small\n"
    assert "model       small, step 12, " in ended.err
    assert "20 tokens" in ended.err


@pytest.mark.slow
def test_count_seeds_and_json(runs: Path, cohort: Cohort) -> None:
    words = ("generate", "small", "--tokens", "9", "--count", "2", "--seed", "5")
    lines = cohort(*words).out
    assert "--- 1 of 2, seed 5\n" in lines
    assert "--- 2 of 2, seed 6\n" in lines
    table = json.loads(cohort(*words, "--json").out)
    assert [(one["seed"], one["tokens"], len(one["text"])) for one in table["samples"]] == [
        (5, 9, 9),
        (6, 9, 9),
    ]
    assert table["samples"][0]["text"] != table["samples"][1]["text"]
    again = json.loads(cohort("generate", "small", "--tokens", "9", "--seed", "6", "--json").out)
    assert again["samples"][0]["text"] == table["samples"][1]["text"]


@pytest.mark.slow
def test_a_checkpoint_by_step_or_folder(runs: Path, cohort: Cohort) -> None:
    def text(*words: str) -> str:
        ended = cohort("generate", *words, "--tokens", "40", "--json")
        assert ended.code == 0, ended.err
        return str(json.loads(ended.out)["samples"][0]["text"])

    early = text("small", "--checkpoint", "4")
    assert early == text(str(runs / "small" / "checkpoints" / "step-00000004"))
    assert early != text("small", "--checkpoint", "newest")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("nope",), 2, "no run 'nope'"),
        (("empty",), 2, "no run 'empty'"),
        (("evil",), 2, "no checkpoint yet"),
        (("small", "--checkpoint", "5"), 2, "It has: 12, 8, 4"),
        (("small", "--checkpoint", "last"), 2, "best, newest"),
        (("small", "--prompt", ""), 2, "The prompt is empty"),
        (("small", "--temperature", "nan"), 2, "temperature is nan"),
        (("small", "--tokens", "0"), 2, "--help"),
    ],
)
def test_what_cannot_be_done_is_said(
    runs: Path, evil: RunFolder, cohort: Cohort, words: tuple[str, ...], code: int, says: str
) -> None:
    (runs / "empty").mkdir()
    ended = cohort("generate", *words)
    assert ended.code == code, ended.err
    assert says in ended.err
    assert "Traceback" not in ended.err


def test_a_damaged_checkpoint_is_not_used(runs: Path, cohort: Cohort) -> None:
    weights = runs / "small" / "checkpoints" / "step-00000012" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    ended = cohort("generate", "small", "--checkpoint", "newest")
    assert ended.code == 3
    assert "is damaged" in ended.err
    weights.write_bytes(data[:-1])
    assert cohort("generate", "small", "--checkpoint", "12").code == 2


def test_text_that_would_steer_the_terminal_is_shown_as_text(runs: Path, cohort: Cohort) -> None:
    """The tokenizer of a run is untrusted: here its letters became the beginnings of commands."""
    path = runs / "small" / "tokenizer.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    table["alphabet"] = "\x07\x1b\u202e" + table["alphabet"][3:]
    path.write_text(json.dumps(table), encoding="utf-8")
    ended = cohort("generate", "small", "--tokens", "200", "--temperature", "5", "--prompt", "T\x1b[2J")
    assert ended.code == 0, ended.err
    assert not steers(ended.out)
    assert "T\\x1b[2J" in ended.out


def test_a_process_that_dies_is_told(runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false") or "/bin/false")
    if not Path(sys.executable).is_file():
        pytest.skip("there is no program that only fails")
    ended = cohort("generate", "small")
    assert ended.code == 7
    assert "ended without a word (code 1)" in ended.err


# --- chat -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_chat_answers_each_line_until_quit(
    runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("The \n\nand\n/quit\nnever\n"))
    ended = cohort("chat", "small", "--tokens", "5")
    assert ended.code == 0, ended.err
    assert ended.out.endswith("\nnext: cohort evaluate small\n")
    assert ended.err.count("5 tokens") == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert cohort("chat", "small").out == "next: cohort evaluate small\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process of its own")
def test_ctrl_c_ends_a_chat_politely_and_leaves_no_process(runs: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "cohort_cli", "chat", "small", "--tokens", "100000"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("The\n")
        process.stdin.flush()
        assert process.stdout.read(3)  # it is answering
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everybody hears it
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.endswith("next: cohort evaluate small\n")
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_help_and_no_torch(runs: Path, cohort: Cohort) -> None:
    for verb in ("generate", "chat"):
        assert f"$ cohort {verb} " in cohort(verb, "--help").out
    code = (
        "import sys; from cohort_cli import app; assert app.run(['generate', 'small', '--tokens', '2']) == 0; "
        "assert not {'torch', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPO, stdout=subprocess.DEVNULL)
