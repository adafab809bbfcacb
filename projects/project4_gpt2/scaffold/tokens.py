"""GPT-2's tokenizer, from the two files that every copy of its weights has beside it.    Step: tokens

vocab.json    printable token -> id, <|endoftext|> among them
merges.txt    a first line with the version, then two printable tokens per line, the first merge first

"Printable": each byte is one character, its own where that is visible, else the next one from U+0100 on (so that a
space is U+0120). A text is cut into words by GPT-2's pattern (Project 1, step `words`). In each word, of all pairs
that merges.txt has, the one that stands first is merged wherever it occurs, until there is none.

Source: Radford et al. 2019, section 2.2; the files' format, https://github.com/openai/gpt-2/blob/master/src/encoder.py.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

END_OF_TEXT = "<|endoftext|>"


class GPT2Tokenizer:
    """vocab: printable token -> id. merges: pairs of printable tokens, the first to be merged first.

    Raises ValueError if the vocabulary lacks a byte or a token that a merge makes, or if two tokens have one id.
    """

    def __init__(self, vocab: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
        raise NotImplementedError("tokens: GPT2Tokenizer.__init__")

    @property
    def eos_id(self) -> int | None:
        """The id of <|endoftext|>, or None if the vocabulary has none."""
        raise NotImplementedError("tokens: GPT2Tokenizer.eos_id")

    @classmethod
    def from_folder(cls, folder: str | Path) -> GPT2Tokenizer:
        """Read vocab.json and merges.txt. Raises ValueError that names the file if one is damaged."""
        raise NotImplementedError("tokens: GPT2Tokenizer.from_folder")

    def save(self, folder: str | Path) -> None:
        """Write vocab.json and merges.txt, which from_folder and Hugging Face's libraries read; make the folder."""
        raise NotImplementedError("tokens: GPT2Tokenizer.save")

    def encode(self, text: str, *, allow_end_of_text: bool = False) -> list[int]:
        """The ids of a text. <|endoftext|> in it is ordinary text, unless allow_end_of_text: then it is one id."""
        raise NotImplementedError("tokens: GPT2Tokenizer.encode")

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids; bytes that are no UTF-8 become U+FFFD. Raises ValueError for an unknown id."""
        raise NotImplementedError("tokens: GPT2Tokenizer.decode")
