"""Which tokenizer the word in a preset means.

characters     made from the training text
gpt2           GPT-2's 50,257 tokens
mine           the member's own, which Project 1 saved and `cohort tokenizer export` translates
a file         a tokenizer.json of Hugging Face, or one that `cohort tokenizer export` can translate
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cohort_cli.catalog import find_project
from cohort_cli.errors import UsageError
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.shards import sha256_of
from cohort_cli.training.data.tokenizer import Characters, Tokenizer
from cohort_cli.workspace import find_workspace

PROJECT = "project1"
SAVED = "tokenizer.json"  # where Project 1 keeps the member's tokenizer, in its folder
Text = Callable[[], Iterator[str]]  # the training text, in pieces


class Choice(NamedTuple):
    word: str  # what finds it again, from any folder
    identity: str  # the same as long as it gives the same ids for the same source
    make: Callable[[Text], Tokenizer]


def choose(word: str) -> Choice:
    """Raises UsageError for a word that means nothing, NoWorkspace for "mine" outside of one."""
    if word == "characters":
        return Choice(word, word, _characters)
    if word == "gpt2":
        return Choice(word, word, lambda text: tokenizers.gpt2())
    if word == "mine":
        workspace, project = find_workspace(), find_project(PROJECT)
        path = workspace.project_folder(project) / SAVED
        if not path.is_file():
            raise UsageError(
                f"There is no {path}: you have not trained a tokenizer yet.",
                "cohort tokenizer train embedded",
            )
        return Choice(word, sha256_of(path), lambda text: _exported(word))
    path = Path(word).expanduser().absolute()
    if not path.is_file():
        raise UsageError(
            f"There is no tokenizer {word!r}.",
            "Write characters, gpt2, mine, or the name of a tokenizer.json.",
        )
    return Choice(str(path), sha256_of(path), partial(_file, path))


def _characters(text: Text) -> Tokenizer:
    alphabet: set[str] = set()
    for piece in text():
        alphabet.update(piece)
    return Characters(alphabet)


def _file(path: Path, text: Text) -> Tokenizer:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        content = None
    translated = isinstance(content, dict) and ("model" in content or "schema" in content)
    return tokenizers.load(path) if translated else _exported(str(path))


def _exported(word: str) -> Tokenizer:
    """The tokenizer as a tokenizer.json of Hugging Face. The command runs the member's code in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="cohort-") as folder:
        path = Path(folder) / SAVED
        command = ["tokenizer", "export", word, "--to", "huggingface", "--out", str(path)]
        done = subprocess.run(
            [sys.executable, "-m", "cohort_cli", *command],
            capture_output=True, text=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        if done.returncode:
            raise UsageError(
                f"The tokenizer {word!r} cannot be used:\n{done.stderr.strip()}",
                "cohort tokens hello --tokenizer " + word,
            )
        return tokenizers.load(path)
