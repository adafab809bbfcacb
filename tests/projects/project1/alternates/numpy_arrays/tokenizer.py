from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import fast
import numpy as np
from pairs import merge_array
from words import GPT2_SPLIT_PATTERN, pretokenize, split_special

Allowed = set[str] | Literal["all", "none"]
NO_RANK = np.iinfo(np.int64).max


class Vocabulary(dict[int, bytes]):
    """id -> bytes, and back."""

    def ids(self) -> dict[bytes, int]:
        return {data: id for id, data in self.items()}


class BPETokenizer:
    __slots__ = (
        "_by_pair",
        "_codes",
        "_ids",
        "_news",
        "_ranks",
        "_start",
        "merges",
        "pattern",
        "special_tokens",
        "vocab",
    )

    def __init__(
        self,
        vocab: dict[int, bytes],
        merges: list[tuple[bytes, bytes]],
        special_tokens: Sequence[str] | None = None,
        pattern: str | None = GPT2_SPLIT_PATTERN,
    ) -> None:
        self.vocab = Vocabulary(vocab)
        self.merges = merges
        self.special_tokens = [] if special_tokens is None else special_tokens
        self.pattern = pattern
        ids = self.vocab.ids()
        for byte in range(256):
            if bytes([byte]) not in ids:
                raise ValueError(f"the vocabulary lacks the byte {byte}")
        for left, right in merges:
            if left + right not in ids:
                raise ValueError(f"the vocabulary lacks {left + right!r}, the result of a merge")
        for name in self.special_tokens:
            data = name.encode("utf-8")
            if data not in ids:
                free = max(self.vocab) + 1
                self.vocab[free] = data
                ids[data] = free
        self._ids = ids
        self._start = np.array([ids[bytes([byte])] for byte in range(256)], dtype=np.int64)
        known = [(l, r) for l, r in merges if l in ids and r in ids]
        codes = np.array([ids[l] << 32 | ids[r] for l, r in known], dtype=np.int64)
        news = np.array([ids[l + r] for l, r in known], dtype=np.int64)
        self._codes, first = np.unique(codes, return_index=True)  # the first rank of each pair
        self._ranks = first.astype(np.int64)
        self._news = news

    def _word(self, word: str) -> list[int]:
        array = self._start[np.frombuffer(word.encode("utf-8"), dtype=np.uint8)]
        while len(array) > 1 and len(self._codes):
            codes = array[:-1] << 32 | array[1:]
            slots = np.searchsorted(self._codes, codes)
            slots[slots == len(self._codes)] = 0
            ranks = np.where(self._codes[slots] == codes, self._ranks[slots], NO_RANK)
            best = int(ranks.argmin())
            if ranks[best] == NO_RANK:
                break
            array = merge_array(array, array[best], array[best + 1], self._news[ranks[best]])
        return array.tolist()

    def _names(self, allowed_special: Allowed) -> list[str]:
        if isinstance(allowed_special, str):
            if allowed_special not in ("all", "none"):
                raise ValueError(f"allowed_special={allowed_special!r}")
            return list(self.special_tokens) if allowed_special == "all" else []
        if not allowed_special.issubset(self.special_tokens):
            raise ValueError(f"unknown special tokens: {allowed_special.difference(self.special_tokens)}")
        return list(allowed_special)

    def encode(self, text: str, *, allowed_special: Allowed = "none") -> list[int]:
        out: list[int] = []
        for part, special in split_special(text, self._names(allowed_special)):
            if special:
                out.append(self._ids[part.encode("utf-8")])
            else:
                for word in pretokenize(part, self.pattern):
                    out += self._word(word)
        return out

    def decode(self, ids: Sequence[int], errors: str = "replace") -> str:
        array = np.asarray(ids, dtype=np.int64)
        unknown = array[~np.isin(array, np.fromiter(self.vocab, dtype=np.int64))]
        if len(unknown):
            raise ValueError(f"ids that are not in the vocabulary: {unknown[:5].tolist()}")
        return b"".join([self.vocab[id] for id in array.tolist()]).decode("utf-8", errors)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = ("<|endoftext|>",),
        pattern: str | None = GPT2_SPLIT_PATTERN,
    ) -> BPETokenizer:
        if isinstance(texts, str):
            raise TypeError("texts: a list of texts, not a string")
        n_merges = vocab_size - 256 - len(special_tokens)
        if n_merges < 0:
            raise ValueError("vocab_size is too small")
        merges = fast.learn_merges(fast.count_words(texts, pattern, special_tokens), n_merges)
        vocab = {byte: bytes([byte]) for byte in range(256)}
        vocab.update({256 + rank: left + right for rank, (left, right) in enumerate(merges)})
        return cls(vocab, merges, special_tokens, pattern)

    def save(self, path: str | Path) -> None:
        ids = np.fromiter(self.vocab, dtype=np.int64)
        data = b"".join(self.vocab.values())
        lengths = [len(token) for token in self.vocab.values()]
        content = {
            "ids": ids.tolist(),
            "lengths": lengths,
            "bytes": list(data),
            "merges": [[list(left), list(right)] for left, right in self.merges],
            "special_tokens": list(self.special_tokens),
            "pattern": self.pattern,
        }
        path = Path(path)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            new = Path(folder) / "new.json"
            new.write_text(json.dumps(content), encoding="ascii")
            os.replace(new, path)

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            ends = np.cumsum(content["lengths"])
            data = bytes(content["bytes"])
            if len(ends) != len(content["ids"]) or (len(ends) and int(ends[-1]) != len(data)):
                raise ValueError("lengths do not fit")
            ids = np.array(content["ids"])
            if ids.dtype.kind != "i":
                raise ValueError("ids are no whole numbers")
            pieces = [
                data[end - length : end]
                for end, length in zip(ends.tolist(), content["lengths"], strict=True)
            ]
            merges = [(bytes(left), bytes(right)) for left, right in content["merges"]]
            special_tokens, pattern = content["special_tokens"], content["pattern"]
            if not isinstance(special_tokens, list) or not all(
                isinstance(name, str) for name in special_tokens
            ):
                raise ValueError("special_tokens")
            if pattern is not None and not isinstance(pattern, str):
                raise ValueError("pattern")
            return cls(dict(zip(ids.tolist(), pieces, strict=True)), merges, special_tokens, pattern)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{os.fspath(path)} is damaged or no tokenizer: {error}") from error

    @classmethod
    def from_gpt2(cls, encoder_json: str | Path, vocab_bpe: str | Path) -> BPETokenizer:
        table = np.full(0x180, -1)
        for byte, character in byte_characters().items():
            table[ord(character)] = byte

        def token(printable: str) -> bytes:
            data = table[[ord(character) for character in printable]]
            if (data < 0).any():
                raise ValueError(f"{printable!r} has a character that stands for no byte")
            return data.astype(np.uint8).tobytes()

        try:
            entries = json.loads(Path(encoder_json).read_text(encoding="utf-8"))
            ids = np.array(list(entries.values()))
            if ids.dtype.kind != "i":
                raise ValueError("ids must be whole numbers")
            if len(np.unique(ids)) != len(ids):
                raise ValueError("an id occurs twice")
            vocab = {id: token(name) for name, id in entries.items()}
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{encoder_json} is damaged: {error}") from error
        try:
            lines = Path(vocab_bpe).read_text(encoding="utf-8").rstrip("\n").split("\n")
            if not lines[0].startswith("#version"):
                raise ValueError("it does not begin with its version")
            merges = []
            for line in lines[1:]:
                left, right = line.split(" ")
                merges.append((token(left), token(right)))
            known = {bytes([b]) for b in range(256)}
            for left, right in merges:
                if left not in known or right not in known:
                    raise ValueError(f"{left!r} or {right!r} is used before it is made")
                known.add(left + right)
            rest = set(vocab.values()) - known - {b"<|endoftext|>"}
            if rest:
                raise ValueError(f"no merge makes {len(rest)} tokens of the vocabulary: lines are missing")
            return cls(vocab, merges, ["<|endoftext|>"])
        except OSError:
            raise
        except Exception as error:
            raise ValueError(
                f"{vocab_bpe} is damaged, or does not belong to {encoder_json}: {error}"
            ) from error

    def encode_iterable(self, texts: Iterable[str], *, allowed_special: Allowed = "none") -> Iterator[int]:
        names = [name for name in self._names(allowed_special) if name]
        starts = {name[:n] for name in names for n in range(1, len(name) + 1)}
        longest = max(map(len, names), default=0)
        rest = ""
        for text in texts:
            rest += text
            keep = len(rest)
            position = 0
            # Walk as split_special does, and stop where a special token may still grow.
            while names and position < len(rest):
                room = len(rest) - position
                if room < longest and rest[position:] in starts and self._may_grow(rest[position:], names):
                    keep = position
                    break
                fitting = [len(name) for name in names if rest.startswith(name, position)]
                position += max(fitting, default=1)
            done, rest = self._release(rest[:keep], rest[keep:], names)
            yield from done
        yield from self.encode(rest, allowed_special=set(names))

    @staticmethod
    def _may_grow(tail: str, names: list[str]) -> bool:
        return any(len(name) > len(tail) and name.startswith(tail) for name in names)

    def _release(self, decided: str, rest: str, names: list[str]) -> tuple[list[int], str]:
        parts = list(split_special(decided, names))
        if parts and not parts[-1][1]:
            text = parts.pop()[0]
            if self.pattern == GPT2_SPLIT_PATTERN:
                words = list(pretokenize(text, self.pattern))
                parts += [(word, False) for word in words[:-2]]
                rest = "".join(words[-2:]) + rest
            else:
                rest = text + rest
        out: list[int] = []
        for part, special in parts:
            out += [self._ids[part.encode("utf-8")]] if special else self.encode(part)
        return out, rest


def compression(tok: BPETokenizer, text: str) -> float:
    if text == "":
        raise ValueError("the text is empty")
    return np.float64(len(text.encode("utf-8"))) / np.float64(len(tok.encode(text)))


def byte_characters() -> dict[int, str]:
    codes = np.arange(256)
    hidden = (codes <= 32) | ((codes >= 127) & (codes <= 160)) | (codes == 173)
    codes[hidden] = 256 + np.arange(hidden.sum())
    return {byte: chr(code) for byte, code in enumerate(codes.tolist())}
