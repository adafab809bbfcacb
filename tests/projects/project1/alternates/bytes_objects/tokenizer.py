from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple, Union

from fast import count_words, learn_merges
from jsonfile import pack, unpack, write_json
from pairs import Merge, merge_word
from words import GPT2_SPLIT_PATTERN, pretokenize, split_special

FORMAT = "bytes-objects/1"


class VocabularyError(ValueError):
    pass


@dataclass
class BPETokenizer:
    vocab: Dict[int, bytes]
    merges: List[Merge]
    special_tokens: Optional[Sequence[str]] = None
    pattern: Optional[str] = GPT2_SPLIT_PATTERN
    max_cache: int = 100_000
    token_to_id: Dict[bytes, int] = field(init=False, repr=False, compare=False)
    rank: Dict[Merge, int] = field(init=False, repr=False, compare=False)
    cache: Dict[str, List[int]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.vocab = dict(self.vocab)
        self.merges = list(self.merges)
        self.special_tokens = list(self.special_tokens or [])
        self.token_to_id = {}
        for id in sorted(self.vocab):
            self.token_to_id.setdefault(self.vocab[id], id)
        for byte in range(256):
            if bytes([byte]) not in self.token_to_id:
                raise VocabularyError(f"the vocabulary has no token for byte {byte}")
        for left, right in self.merges:
            if left + right not in self.token_to_id:
                raise VocabularyError(f"the vocabulary has no token for {left!r} + {right!r}")
        for token in self.special_tokens:
            data = token.encode("utf-8")
            if data not in self.token_to_id:
                id = 0
                while id in self.vocab:  # the next free id is the lowest that is not taken
                    id += 1
                self.vocab[id] = data
                self.token_to_id[data] = id
        self.rank = {}
        for number, pair in enumerate(self.merges):
            self.rank.setdefault(pair, number)

    def encode_word(self, word: str) -> List[int]:
        if word in self.cache:
            return self.cache[word]
        tokens: Tuple[bytes, ...] = tuple(bytes([b]) for b in word.encode("utf-8"))
        while len(tokens) > 1:
            best = min(zip(tokens, tokens[1:]), key=lambda pair: self.rank.get(pair, float("inf")))
            if best not in self.rank:
                break
            tokens = merge_word(tokens, best)
        ids = [self.token_to_id[token] for token in tokens]
        if len(self.cache) < self.max_cache:
            self.cache[word] = ids
        return ids

    def which(self, allowed_special: Union[Set[str], str]) -> List[str]:
        if allowed_special == "all":
            return list(self.special_tokens)
        if allowed_special == "none":
            return []
        if isinstance(allowed_special, str):
            raise ValueError("allowed_special must be a set, 'all' or 'none'")
        for token in allowed_special:
            if token not in self.special_tokens:
                raise ValueError(f"{token!r} is not one of the special tokens {self.special_tokens}")
        return list(allowed_special)

    def encode(self, text: str, *, allowed_special: Union[Set[str], str] = "none") -> List[int]:
        ids: List[int] = []
        for part, is_special in split_special(text, self.which(allowed_special)):
            if is_special:
                ids.append(self.token_to_id[part.encode("utf-8")])
            else:
                for word in pretokenize(part, self.pattern):
                    ids.extend(self.encode_word(word))
        return ids

    def decode(self, ids: Sequence[int], errors: str = "replace") -> str:
        data = bytearray()
        for id in ids:
            if id not in self.vocab:
                raise ValueError(f"unknown id {id}")
            data += self.vocab[id]
        return data.decode("utf-8", errors)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = ("<|endoftext|>",),
        pattern: Optional[str] = GPT2_SPLIT_PATTERN,
        workers: int = 1,
    ) -> "BPETokenizer":
        if isinstance(texts, (str, bytes)):
            raise TypeError("texts must be an iterable of texts, not one text")
        room = vocab_size - 256 - len(special_tokens)
        if room < 0:
            raise ValueError(f"vocab_size must be at least {256 + len(special_tokens)}")
        merges = learn_merges(count_words(texts, pattern, special_tokens, workers), room)
        tokens = [bytes([b]) for b in range(256)] + [a + b for a, b in merges]
        tokens += [token.encode("utf-8") for token in special_tokens]
        return cls(dict(enumerate(tokens)), merges, special_tokens, pattern)

    def save(self, path: Union[str, Path]) -> None:
        write_json(
            path,
            {
                "format": FORMAT,
                "pattern": self.pattern,
                "special": list(self.special_tokens),
                "tokens": {pack(token): id for id, token in self.vocab.items()},
                "merges": [[pack(a), pack(b)] for a, b in self.merges],
            },
        )

    @classmethod
    def load(cls, path: Union[str, Path]) -> "BPETokenizer":
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']}")
            assert data["pattern"] is None or isinstance(data["pattern"], str), "pattern"
            assert isinstance(data["special"], list), "special"
            assert all(isinstance(id, int) for id in data["tokens"].values()), "ids"
            return cls(
                vocab={id: unpack(token) for token, id in data["tokens"].items()},
                merges=[(unpack(a), unpack(b)) for a, b in data["merges"]],
                special_tokens=data["special"],
                pattern=data["pattern"],
            )
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError) as error:
            raise ValueError(f"cannot load {path}: {error}") from error

    @classmethod
    def from_gpt2(cls, encoder_json: Union[str, Path], vocab_bpe: Union[str, Path]) -> "BPETokenizer":
        byte_of = {character: bytes([byte]) for byte, character in byte_characters().items()}

        def read(printable: str) -> bytes:
            return b"".join(byte_of[character] for character in printable)

        try:
            with open(encoder_json, encoding="utf-8") as file:
                vocab = {id: read(printable) for printable, id in json.load(file).items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{encoder_json} is damaged: {error!r}") from error
        merges = []
        try:
            with open(vocab_bpe, encoding="utf-8") as file:
                next(file)
                for line in file:
                    if line.strip():
                        a, b = line.split()
                        merges.append((read(a), read(b)))
        except (ValueError, KeyError, StopIteration) as error:
            raise ValueError(f"{vocab_bpe} is damaged: {error!r}") from error
        try:
            return cls(vocab, merges, ["<|endoftext|>"])
        except (VocabularyError, TypeError) as error:
            raise ValueError(
                f"{encoder_json} does not belong to {vocab_bpe}, or is damaged: {error}"
            ) from error

    def encode_iterable(
        self, texts: Iterable[str], *, allowed_special: Union[Set[str], str] = "none"
    ) -> Iterator[int]:
        allowed = self.which(allowed_special)
        longest = max(map(len, allowed), default=0)
        buffer = ""
        for text in texts:
            buffer += text
            out, buffer = self._drain(buffer, allowed, longest)
            yield from out
        yield from self.encode(buffer, allowed_special=set(allowed))

    def _drain(self, buffer: str, allowed: List[str], longest: int) -> Tuple[List[int], str]:
        """Ids of what is decided, and the rest."""
        out: List[int] = []
        parts = list(split_special(buffer, allowed))
        starts, total = [], 0
        for part, _ in parts:
            starts.append(total)
            total += len(part)
        # From here on something longer could still turn up; a finished special token before it stays.
        limit = total
        for (part, is_special), start in zip(parts, starts):
            first = start if is_special else max(start, total - longest + 1)
            last = start + 1 if is_special else start + len(part)
            for position in range(first, last):
                tail = buffer[position:]
                if len(tail) < longest and any(len(t) > len(tail) and t.startswith(tail) for t in allowed):
                    limit = min(limit, position)
                    break
        for (part, is_special), start in zip(parts, starts):
            if start >= limit:
                return out, buffer[start:]
            if is_special:
                out.append(self.token_to_id[part.encode("utf-8")])
                continue
            end = min(start + len(part), limit)
            if end < total and end == start + len(part):
                out += self.encode(part)  # a special token closes it
                continue
            if self.pattern != GPT2_SPLIT_PATTERN:
                return out, buffer[start:]
            words = list(pretokenize(buffer[start:end], self.pattern))
            for word in words[:-2]:
                out += self.encode_word(word)
            return out, "".join(words[-2:]) + buffer[end:]
        return out, buffer[total:]


def compression(tok: BPETokenizer, text: str) -> float:
    n_bytes = len(text.encode("utf-8"))
    if n_bytes == 0:
        raise ValueError("empty text")
    return n_bytes / len(tok.encode(text))


def byte_characters() -> Dict[int, str]:
    printable = list(range(ord("!"), ord("~") + 1)) + list(range(ord("¡"), ord("¬") + 1))
    printable += list(range(ord("®"), ord("ÿ") + 1))
    result = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in result:
            result[byte] = chr(256 + len(result) - len(printable))
    return result
