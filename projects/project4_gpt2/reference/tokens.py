"""GPT-2's tokenizer, from the two files that every copy of its weights has beside it.    Step: tokens

vocab.json    printable token -> id, <|endoftext|> among them
merges.txt    a first line with the version, then two printable tokens per line, the first merge first

"Printable": each byte is one character, its own where that is visible, else the next one from U+0100 on (so that a
space is U+0120). A text is cut into words by GPT-2's pattern (Project 1, step `words`). In each word, of all pairs
that merges.txt has, the one that stands first is merged wherever it occurs, until there is none.

Source: Radford et al. 2019, section 2.2; the files' format, https://github.com/openai/gpt-2/blob/master/src/encoder.py.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import regex

END_OF_TEXT = "<|endoftext|>"
WORDS = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
VERSION = "#version: 0.2"


def byte_characters() -> dict[int, str]:
    """byte -> printable character."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + n) for n, byte in enumerate(others)}


class GPT2Tokenizer:
    """vocab: printable token -> id. merges: pairs of printable tokens, the first to be merged first.

    Raises ValueError if the vocabulary lacks a byte or a token that a merge makes, or if two tokens have one id.
    """

    def __init__(self, vocab: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
        self.vocab, self.merges = dict(vocab), list(merges)
        self._byte = byte_characters()
        made = [left + right for left, right in self.merges]
        lacking = [token for token in [*self._byte.values(), *made] if token not in self.vocab]
        if lacking:
            raise ValueError(f"the vocabulary lacks {lacking[0]!r}")
        self._token = {id: token for token, id in self.vocab.items()}
        if len(self._token) < len(self.vocab):
            raise ValueError("two tokens of the vocabulary have the same id")
        self._rank = {pair: rank for rank, pair in enumerate(self.merges)}
        self._bytes = {character: byte for byte, character in self._byte.items()}
        self._known: dict[str, list[int]] = {}  # word -> ids, as a cache

    @property
    def eos_id(self) -> int | None:
        """The id of <|endoftext|>, or None if the vocabulary has none."""
        return self.vocab.get(END_OF_TEXT)

    @classmethod
    def from_folder(cls, folder: str | Path) -> GPT2Tokenizer:
        """Read vocab.json and merges.txt. Raises ValueError that names the file if one is damaged."""
        path = Path(folder) / "vocab.json"
        try:
            vocab = json.loads(path.read_text(encoding="utf-8"))
            if not all(isinstance(id, int) for id in vocab.values()):
                raise ValueError("an id is not a whole number")
            path = Path(folder) / "merges.txt"
            lines = path.read_text(encoding="utf-8").split("\n")
            pairs = [tuple(line.split(" ")) for line in lines[1:] if line]
            if not lines[0].startswith("#version") or any(len(pair) != 2 for pair in pairs):
                raise ValueError("a line is not a pair of tokens")
            return cls(vocab, [(left, right) for left, right in pairs])
        except (ValueError, AttributeError) as trouble:
            raise ValueError(f"{path} is not a file of GPT-2's tokenizer: {trouble}") from None

    def save(self, folder: str | Path) -> None:
        """Write vocab.json and merges.txt, which from_folder and Hugging Face's libraries read; make the folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        ranked = dict(sorted(self.vocab.items(), key=lambda item: item[1]))
        (folder / "vocab.json").write_text(json.dumps(ranked, ensure_ascii=False), encoding="utf-8")
        lines = [VERSION, *(f"{left} {right}" for left, right in self.merges)]
        (folder / "merges.txt").write_bytes(("\n".join(lines) + "\n").encode("utf-8"))

    def encode(self, text: str, *, allow_end_of_text: bool = False) -> list[int]:
        """The ids of a text. <|endoftext|> in it is ordinary text, unless allow_end_of_text: then it is one id."""
        if allow_end_of_text and self.eos_id is not None and END_OF_TEXT in text:
            ids: list[int] = []
            for number, part in enumerate(text.split(END_OF_TEXT)):
                ids += ([self.eos_id] if number else []) + self.encode(part)
            return ids
        return [id for word in WORDS.findall(text) for id in self._word(word)]

    def _word(self, word: str) -> list[int]:
        """The ids of one word: again and again, the pair that was learned first is merged, from left to right."""
        if word not in self._known:
            parts = [self._byte[byte] for byte in word.encode("utf-8")]
            while len(parts) > 1:
                pair = min(itertools.pairwise(parts), key=lambda pair: self._rank.get(pair, 10**9))
                if pair not in self._rank:
                    break
                parts = self._merge(parts, pair)
            self._known[word] = [self.vocab[part] for part in parts]
        return self._known[word]

    @staticmethod
    def _merge(parts: list[str], pair: tuple[str, str]) -> list[str]:
        merged, i = [], 0
        while i < len(parts):
            found = tuple(parts[i : i + 2]) == pair
            merged.append("".join(pair) if found else parts[i])
            i += 2 if found else 1
        return merged

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids; bytes that are no UTF-8 become U+FFFD. Raises ValueError for an unknown id."""
        data = bytearray()
        for id in ids:
            if (token := self._token.get(int(id))) is None:
                raise ValueError(f"there is no token with the id {id}")
            data += END_OF_TEXT.encode() if id == self.eos_id else bytes(self._bytes[c] for c in token)
        return data.decode("utf-8", errors="replace")
