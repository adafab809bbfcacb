"""The kit's own tokenizers, trained and loaded once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cohort_cli.tokens import sources
from cohort_cli.tokens.client import Coder
from cohort_cli.training import corpus


@pytest.fixture(scope="session")
def gpt2() -> Iterator[Coder]:
    with sources.open_tokenizer("gpt2", print) as coder:
        yield coder


@pytest.fixture(scope="session")
def trained() -> Iterator[Coder]:
    """Learned from the embedded corpus: 256 bytes, 767 merges, <|endoftext|>."""
    with Coder(sources.reference()) as coder:
        coder.train([corpus.load()], 1024, special_tokens=["<|endoftext|>"])
        yield coder
