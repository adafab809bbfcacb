"""The program as a whole: help, versions, errors and their exit codes, and what it costs to start."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import REPO, Cohort
from typer.testing import CliRunner

import cohort_cli
from cohort_cli import app, errors
from cohort_cli.commands import status as status_command

VERBS = [
    "init", "start", "status", "check", "hint", "explain", "doctor", "self-check", "demo", "tokens", "plan",
    "train", "sweep", "generate", "chat", "demo-app", "trace", "evaluate", "ladder", "break", "export", "new",
    "roles", "meeting", "present", "lab", "share", "board", "tokenizer", "data", "runs", "schedule", "post",
    "showcase", "site", "kit",
]  # fmt: skip
LEAVES = [
    *(verb for verb in VERBS if verb not in ("tokenizer", "data", "runs", "post", "showcase", "site", "kit")),
    "tokenizer train",
    "tokenizer export", "tokenizer experiment", "data list", "data prepare", "data verify",
    "runs list", "runs show", "runs compare", "runs stop", "runs logs", "runs fetch", "runs prune",
    "schedule move", "schedule shift", "schedule cancel", "post announcement", "post nudge", "post stuck",
    "showcase add", "showcase check", "showcase collect", "site build", "site serve", "kit verify", "kit transcript",
]  # fmt: skip
HEAVY = ("torch", "numpy", "pydantic", "gradio", "openai", "datasets", "rich", "pytest", "psutil", "watchfiles",
         "regex", "matplotlib", "tokenizers", "icalendar", "tomlkit", "dateutil")  # fmt: skip


def verbs_of(command: Any, above: str = "") -> list[str]:
    """Every verb that does something, such as "site build"; also "schedule", which has verbs of its own."""
    found = []
    for name, verb in command.commands.items():
        words = f"{above} {name}".strip()
        found += verbs_of(verb, words) if hasattr(verb, "commands") else [words]
        found += [words] if hasattr(verb, "commands") and verb.invoke_without_command else []
    return found


def test_these_are_all_the_verbs(cohort: Cohort) -> None:
    assert sorted(verbs_of(app.program())) == sorted(LEAVES)
    listed = re.findall(r"^  (\w[\w-]*)  ", cohort("--help").out.partition("Commands:")[2], re.MULTILINE)
    assert listed == VERBS


@pytest.mark.parametrize("words", ["", *LEAVES, "tokenizer", "data", "runs", "post", "showcase", "kit"])
def test_help_ends_with_an_example_and_its_output(cohort: Cohort, words: str) -> None:
    ended = cohort(*words.split(), "--help")
    assert ended.code == 0
    _, found, example = ended.out.partition(f"\n\n  $ cohort {words}".rstrip())
    assert found, "it has an example"
    assert "  -h, --help" not in example, "the example comes last"
    assert example.count("\n") >= 2, "the example shows what comes out"
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.parametrize("words", LEAVES)
def test_help_works_under_typers_own_runner(words: str) -> None:
    result = CliRunner().invoke(app.build(), [*words.split(), "--help"])
    assert result.exit_code == 0
    assert "$ cohort" in result.output


def test_the_version(cohort: Cohort) -> None:
    assert cohort("--version").out == f"cohort {cohort_cli.__version__}\n"


def test_the_module_is_the_same_program(cohort_process: Cohort) -> None:
    assert cohort_process("--version").out == f"cohort {cohort_cli.__version__}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["chek"], "Did you mean 'check'?"),
        (["chekc", "project2"], "Did you mean 'check'?"),
        (["kit", "verfy"], "Did you mean 'verify'?"),
        (["check"], "PROJECT"),
        (["check", "project9", "--sed", "1"], "--seed"),
        (["check", "project9", "--seed", "one"], "one"),
        (["check", "project9", "--seed", "-1"], "-1"),
        (["status", "extra"], "extra"),
        (["explain", "project9"], "CHECK"),
        (["hint", "projct9", "plus"], "Did you mean project9?"),
        (["hint", "project9", "pluss"], "Did you mean plus"),
        (["explain", "project9", "summ"], "Did you mean sum"),
        (["start", "zzz"], "There is no project 'zzz'"),
    ],
)
def test_a_word_that_is_wrong_is_the_users_to_repair(
    space: object, cohort: Cohort, words: list[str], says: str
) -> None:
    ended = cohort(*words)
    assert ended.code == 2
    assert ended.out == ""
    assert says in ended.err
    assert "Traceback" not in ended.err
    assert len(ended.err.strip().splitlines()) == 2, "one line says what is wrong, one what to do"


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*words: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(status_command, "json", None)
    monkeypatch.setattr("cohort_cli.workspace.find_workspace", fail)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (errors.UsageError("what", "do this"), 2, "cohort: what\n  do this\n"),
        (errors.NoWorkspace("what", "do this"), 3, "cohort: what\n  do this\n"),
        (errors.EnvironmentTrouble("what"), 4, "cohort: what\n"),
        (errors.NothingRan("what", "do this"), 5, "cohort: what\n  do this\n"),
        (errors.KitBug("what", "do this"), 70, "cohort: what\n  do this\n"),
        (KeyboardInterrupt(), 130, "cohort: Interrupted."),
        (
            OSError(errno.ENOSPC, "No space left on device", "/disk"),
            4,
            "cohort: /disk: No space left on device.",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/disk"), 4, "cohort: /disk: Permission denied."),
    ],
)
def test_every_error_has_its_exit_code(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    raising(monkeypatch, error)
    ended = cohort("status")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(says)


def test_a_bug_of_ours_is_said_and_kept_in_a_file(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, ZeroDivisionError("division by zero"))
    ended = cohort("status")
    assert ended.code == 70
    assert "bug of the kit, not of your code: ZeroDivisionError" in ended.err
    assert "Traceback" not in ended.err
    path = Path(re.findall(r"\S+cohort-bug-\S+\.txt", ended.err)[0])
    assert "Traceback" in path.read_text(encoding="utf-8")
    path.unlink()


def test_a_bug_is_said_even_when_nothing_can_be_written(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    raising(monkeypatch, ZeroDivisionError("division by zero"))
    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    ended = cohort("status")
    assert (ended.code, "ZeroDivisionError" in ended.err) == (70, True)


@pytest.mark.skipif(os.name != "posix", reason="pipes of Windows break in other ways")
def test_a_reader_that_goes_away_is_no_error(kit: Path) -> None:
    script = f'"{sys.executable}" -m cohort_cli explain project9 sum | head -n 1; echo "${{PIPESTATUS[0]}}"'
    for _ in range(3):
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=REPO, check=True)
        assert done.stderr == ""
        assert done.stdout.splitlines()[0] == "sum: a and b are added"
        assert done.stdout.splitlines()[1] in ("0", "141")  # 0 if everything was written before head ended


@pytest.mark.skipif(os.name != "posix", reason="signals of Windows are others")
def test_ctrl_c_ends_a_check_with_130_and_keeps_what_was(space: Any) -> None:
    space.log_path.parent.mkdir()
    space.log_path.write_bytes(b"")
    command = [sys.executable, "-m", "cohort_cli", "check", "project9"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    while not psutil.Process(process.pid).children():
        time.sleep(0.01)  # until there is a judge, which imports torch now
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err) == ("", "cohort: Interrupted. What was finished before is kept.\n")
    assert space.log_path.read_bytes() == b""


def test_an_old_console_shows_a_question_mark(space: Any, adding: Any, cohort_process: Cohort) -> None:
    path = adding.hints_dir / "plus.md"
    path.write_text("# Hints\n\n## Rung 1\n\n√d ≤ 2\n", encoding="utf-8")
    ended = cohort_process("hint", "project9", "plus", PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert ended.code == 0
    assert "?d ? 2" in ended.out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["tokens", "--help"],
        ["tokenizer", "--help"],
        ["showcase", "--help"],
        ["status"],
        ["status", "--json"],
        ["hint", "project9", "plus"],
        ["explain", "9", "sum"],
    ],
)
def test_nothing_heavy_is_imported(space: Any, words: list[str]) -> None:
    code = f"""
import sys
from cohort_cli.app import run
code = run({words!r})
print([name for name in {HEAVY} if name in sys.modules], code, file=sys.stderr)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stderr.strip().splitlines()[-1] == "[] 0"


@pytest.mark.slow
def test_starting_costs_at_most_half_as_much_again_as_two_commands() -> None:
    done = subprocess.run([sys.executable, REPO / "benchmarks" / "startup.py", "--pairs", "9"], check=False)
    assert done.returncode == 0


def test_ctrl_c_while_the_program_is_loaded_says_nothing() -> None:
    """The import of the program is interrupted here by a module that sends the signal to itself."""
    code = """
import os, signal, sys
class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "cohort_cli.app":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Impatient())
from cohort_cli.__main__ import main
main()
"""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
