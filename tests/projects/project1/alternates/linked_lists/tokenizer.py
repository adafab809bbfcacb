from __future__ import annotations

import heapq
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import fast
from words import GPT2_SPLIT_PATTERN, pretokenize, special_at, split_special

Allowed = set[str] | Literal["all", "none"]


class MergeList(list[tuple[bytes, bytes]]):
    """Merges in order, and the rank of each."""

    def __init__(self, merges: Iterable[tuple[bytes, bytes]]) -> None:
        super().__init__(merges)
        self.rank: dict[tuple[bytes, bytes], int] = {}
        for place, pair in enumerate(self):
            self.rank.setdefault(pair, place)


class SpecialTokens(list[str]):
    pass


class DamagedFile(ValueError):
    def __init__(self, path: str | Path, why: object) -> None:
        super().__init__(f"{path} is damaged or something else: {why}")


class BPETokenizer:
    def __init__(
        self,
        vocab: dict[int, bytes],
        merges: list[tuple[bytes, bytes]],
        special_tokens: Sequence[str] | None = None,
        pattern: str | None = GPT2_SPLIT_PATTERN,
    ) -> None:
        self.vocab = vocab.copy()
        self.merges = MergeList(merges)
        self.special_tokens = SpecialTokens(special_tokens or ())
        self.pattern = pattern
        self.id_of: dict[bytes, int] = {}
        for id, data in vocab.items():
            self.id_of.setdefault(data, id)
        for byte in range(256):
            if bytes([byte]) not in self.id_of:
                raise ValueError(f"byte {byte} has no id")
        for left, right in self.merges:
            if left + right not in self.id_of:
                raise ValueError(f"{left + right!r} has no id")
        for name in self.special_tokens:
            data = name.encode("utf-8")
            if data not in self.id_of:
                self.id_of[data] = 1 + max(self.vocab)
                self.vocab[self.id_of[data]] = data

    def _encode_word(self, word: bytes) -> list[int]:
        """A linked list of tokens, and a heap of (rank, place)."""
        rank = self.merges.rank
        token: list[bytes | None] = [word[i : i + 1] for i in range(len(word))]
        after = list(range(1, len(word) + 1))
        before = list(range(-1, len(word) - 1))
        end = len(word)
        heap: list[tuple[int, int, bytes, bytes]] = []

        def offer(place: int) -> None:
            if place >= 0 and after[place] < end:
                left, right = token[place], token[after[place]]
                if (left, right) in rank:
                    heapq.heappush(heap, (rank[left, right], place, left, right))  # type: ignore[index,arg-type]

        for place in range(end):
            offer(place)
        while heap:
            _, place, left, right = heapq.heappop(heap)
            if token[place] != left or after[place] >= end or token[after[place]] != right:
                continue
            gone = after[place]
            token[place], token[gone] = left + right, None
            after[place] = after[gone]
            if after[gone] < end:
                before[after[gone]] = place
            offer(before[place])
            offer(place)
        return [self.id_of[data] for data in token if data is not None]

    def _check(self, allowed_special: Allowed) -> list[str]:
        if allowed_special == "none":
            return []
        if allowed_special == "all":
            return self.special_tokens
        if type(allowed_special) is str:
            raise ValueError("give a set of special tokens")
        for name in allowed_special:
            if name not in self.special_tokens:
                raise ValueError(f"{name!r} is no special token")
        return sorted(allowed_special)

    def _ordinary(self, text: str) -> Iterator[int]:
        for word in pretokenize(text, self.pattern):
            yield from self._encode_word(word.encode("utf-8"))

    def encode(self, text: str, *, allowed_special: Allowed = "none") -> list[int]:
        ids: list[int] = []
        for part, special in split_special(text, self._check(allowed_special)):
            ids.extend([self.id_of[part.encode("utf-8")]] if special else self._ordinary(part))
        return ids

    def decode(self, ids: Sequence[int], errors: str = "replace") -> str:
        pieces = []
        for id in ids:
            data = self.vocab.get(id)
            if data is None:
                raise ValueError(f"id {id} is unknown")
            pieces.append(data)
        return str(b"".join(pieces), "utf-8", errors)

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
            raise TypeError("one string is not a list of texts")
        names = list(special_tokens)
        if vocab_size < 256 + len(names):
            raise ValueError(f"a vocabulary needs {256 + len(names)} tokens at least")
        counted = fast.count_words(texts, pattern, names)
        merges = fast.learn_merges(counted, vocab_size - 256 - len(names))
        vocab = {byte: bytes([byte]) for byte in range(256)}
        for left, right in merges:
            vocab[len(vocab)] = left + right
        return cls(vocab, merges, names, pattern)

    def save(self, path: str | Path) -> None:
        data = {
            "kind": "bpe",
            "vocab": {str(id): token.decode("latin-1") for id, token in self.vocab.items()},
            "merges": [[left.decode("latin-1"), right.decode("latin-1")] for left, right in self.merges],
            "special_tokens": list(self.special_tokens),
            "pattern": self.pattern,
        }
        new = f"{path}.new"
        try:
            with open(new, "w", encoding="utf-8", newline="\n") as file:
                json.dump(data, file)
            os.replace(new, path)
        except BaseException:
            if os.path.exists(new):
                os.remove(new)
            raise

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        with open(path, "rb") as file:
            raw = file.read()
        try:
            data = json.loads(raw.decode("utf-8"))
            if data["kind"] != "bpe":
                raise ValueError("kind")
            vocab = {int(id): token.encode("latin-1") for id, token in data["vocab"].items()}
            merges = [(left.encode("latin-1"), right.encode("latin-1")) for left, right in data["merges"]]
            names = data["special_tokens"]
            pattern = data["pattern"]
            if type(names) is not list or any(type(name) is not str for name in names):
                raise ValueError("special_tokens")
            if pattern is not None and type(pattern) is not str:
                raise ValueError("pattern")
            return cls(vocab, merges, names, pattern)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as why:
            raise DamagedFile(path, why) from why

    @classmethod
    def from_gpt2(cls, encoder_json: str | Path, vocab_bpe: str | Path) -> BPETokenizer:
        byte_of = dict(map(reversed, byte_characters().items()))  # type: ignore[arg-type]
        at: object = encoder_json
        try:
            with open(encoder_json, "rb") as file:
                entries = json.loads(file.read())
            vocab: dict[int, bytes] = {}
            for name, id in entries.items():
                if type(id) is not int or id < 0 or id in vocab:
                    raise ValueError(f"the id {id} of {name!r}")
                vocab[id] = bytes(byte_of[character] for character in name)
            at = vocab_bpe
            merges = []
            with open(vocab_bpe, "rb") as file:
                if not file.readline().startswith(b"#version:"):
                    raise ValueError("no version")
                for number, line in enumerate(file, start=2):
                    halves = line.decode("utf-8").rstrip("\r\n").split(" ")
                    if halves == [""]:
                        continue
                    if len(halves) != 2:
                        raise ValueError(f"line {number} is no merge")
                    merges.append(tuple(bytes(byte_of[character] for character in half) for half in halves))
            at = f"{encoder_json} or {vocab_bpe}"
            return cls(vocab, merges, ["<|endoftext|>"])
        except (KeyError, TypeError, ValueError, AttributeError) as why:
            raise DamagedFile(at, repr(why)) from why  # type: ignore[arg-type]

    def encode_iterable(self, texts: Iterable[str], *, allowed_special: Allowed = "none") -> Iterator[int]:
        return self._stream(texts, [name for name in self._check(allowed_special) if name])

    def _stream(self, texts: Iterable[str], names: list[str]) -> Iterator[int]:
        waiting = ""  # not yet given out
        looked = 0  # up to here there is no special token in it, nor the beginning of one
        for piece in texts:
            waiting += piece
            while looked < len(waiting):
                left = len(waiting) - looked
                if any(len(name) > left and name.startswith(waiting[looked:]) for name in names):
                    break
                name = special_at(waiting, looked, names)
                if name:
                    yield from self._ordinary(waiting[:looked])
                    yield self.id_of[name.encode("utf-8")]
                    waiting = waiting[looked + len(name) :]
                    looked = 0
                else:
                    looked += 1 if names else left
            if self.pattern == GPT2_SPLIT_PATTERN and looked:
                words = list(pretokenize(waiting[:looked], self.pattern))
                free = sum(map(len, words[:-2]))
                for word in words[:-2]:
                    yield from self._encode_word(word.encode("utf-8"))
                waiting, looked = waiting[free:], looked - free
        for part, special in split_special(waiting, names):
            if special:
                yield self.id_of[part.encode("utf-8")]
            else:
                yield from self._ordinary(part)


def compression(tok: BPETokenizer, text: str) -> float:
    if not text:
        raise ValueError("no text")
    return len(text.encode("utf-8")) / len(tok.encode(text))


def byte_characters() -> dict[int, str]:
    characters: dict[int, str] = {}
    following = 0x100
    for byte in range(0x100):
        if byte <= 0x20 or 0x7F <= byte <= 0xA0 or byte == 0xAD:
            characters[byte] = chr(following)
            following += 1
        else:
            characters[byte] = chr(byte)
    return characters
