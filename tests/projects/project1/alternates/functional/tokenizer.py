from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, count, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import fast
from latin import replaced, to_latin
from words import GPT2_SPLIT_PATTERN, pretokenize, split_special

Allowed = set[str] | Literal["all", "none"]


class Unusable(ValueError):
    """A vocabulary, a file or an id that cannot be used."""


class BPETokenizer:
    def __init__(
        self,
        vocab: dict[int, bytes],
        merges: list[tuple[bytes, bytes]],
        special_tokens: Sequence[str] | None = None,
        pattern: str | None = GPT2_SPLIT_PATTERN,
    ) -> None:
        known = set(vocab.values())
        free = count(max(vocab, default=-1) + 1)
        added = {
            next(free): name.encode()
            for name in dict.fromkeys(special_tokens or ())
            if name.encode() not in known
        }
        needed = chain((bytes((byte,)) for byte in range(256)), (left + right for left, right in merges))
        if missing := [token for token in needed if token not in known]:
            raise Unusable(f"the vocabulary lacks {missing[0]!r} and {len(missing) - 1} more")
        self.vocab = {**vocab, **added}
        self.merges = [*merges]
        self.special_tokens = tuple(special_tokens or ())
        self.pattern = pattern
        ids = {to_latin(token): id for id, token in reversed(self.vocab.items())}
        ranks = {
            (to_latin(left), to_latin(right)): rank for rank, (left, right) in reversed([*enumerate(merges)])
        }
        self._special = MappingProxyType({name: ids[to_latin(name.encode())] for name in self.special_tokens})

        @lru_cache(maxsize=4096)
        def ids_of(word: str) -> tuple[int, ...]:
            tokens = tuple(to_latin(word.encode()))
            while known := [pair for pair in pairwise(tokens) if pair in ranks]:
                best = min(known, key=ranks.__getitem__)
                tokens = tuple(replaced(tokens, best, "".join(best)))
            return tuple(ids[token] for token in tokens)

        self._ids_of = ids_of

    def _allowed(self, allowed_special: Allowed) -> tuple[str, ...]:
        if isinstance(allowed_special, str):
            try:
                return {"none": (), "all": self.special_tokens}[allowed_special]
            except KeyError:
                raise Unusable(f'allowed_special: a set, "all" or "none", not {allowed_special!r}') from None
        if strangers := set(allowed_special) - set(self.special_tokens):
            raise Unusable(f"no special tokens: {sorted(strangers)}")
        return tuple(allowed_special)

    def _part(self, part: str, special: bool) -> Iterable[int]:
        if special:
            return (self._special[part],)
        return chain.from_iterable(map(self._ids_of, pretokenize(part, self.pattern)))

    def encode(self, text: str, *, allowed_special: Allowed = "none") -> list[int]:
        parts = split_special(text, self._allowed(allowed_special))
        return [id for part in parts for id in self._part(*part)]

    def decode(self, ids: Sequence[int], errors: str = "replace") -> str:
        try:
            return b"".join(map(self.vocab.__getitem__, ids)).decode(errors=errors)
        except KeyError as error:
            raise Unusable(f"no token has the id {error}") from None

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
            raise TypeError("texts is one string; put it into a list")
        n_merges = vocab_size - 256 - len(special_tokens)
        if n_merges < 0:
            raise Unusable(
                f"{vocab_size} tokens have no room for 256 bytes and {len(special_tokens)} special tokens"
            )
        merges = fast.learn_merges(fast.count_words(texts, pattern, special_tokens), n_merges)
        vocab = dict(enumerate(chain((bytes((byte,)) for byte in range(256)), map(b"".join, merges))))
        return cls(vocab, merges, special_tokens, pattern)

    def save(self, path: str | Path) -> None:
        shown = byte_characters()
        written = {
            "vocab": [["".join(map(shown.get, token)), id] for id, token in self.vocab.items()],
            "merges": [" ".join("".join(map(shown.get, half)) for half in pair) for pair in self.merges],
            "special_tokens": self.special_tokens,
            "pattern": self.pattern,
        }
        path = Path(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(written, file, ensure_ascii=False)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        shown = {character: byte for byte, character in byte_characters().items()}
        try:
            data = json.loads(Path(path).read_bytes())
            vocab = {int(id): bytes(map(shown.__getitem__, token)) for token, id in data["vocab"]}
            merges = [
                (bytes(map(shown.__getitem__, left)), bytes(map(shown.__getitem__, right)))
                for left, right in (line.split(" ") for line in data["merges"])
            ]
            if not all(isinstance(name, str) for name in data["special_tokens"]):
                raise TypeError("special_tokens")
            if not isinstance(data["special_tokens"], list) or not isinstance(data["pattern"], str | None):
                raise TypeError("special_tokens or pattern")
            return cls(vocab, merges, data["special_tokens"], data["pattern"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Unusable(f"{path}: not a saved tokenizer, or damaged ({error!r})") from error

    @classmethod
    def from_gpt2(cls, encoder_json: str | Path, vocab_bpe: str | Path) -> BPETokenizer:
        shown = {character: byte for byte, character in byte_characters().items()}

        def token(printable: str) -> bytes:
            return bytes(map(shown.__getitem__, printable))

        reading = encoder_json
        try:
            entries = json.loads(Path(encoder_json).read_text(encoding="utf-8"))
            vocab = {id: token(name) for name, id in entries.items()}
            if not all(type(id) is int for id in vocab):
                raise TypeError("an id is no whole number")
            reading = vocab_bpe
            version, *lines = Path(vocab_bpe).read_text(encoding="utf-8").split("\n")
            if not version.startswith("#version"):
                raise Unusable("the first line is not the version")
            merges = [
                (token(left), token(right)) for left, right in (line.split(" ") for line in lines if line)
            ]
            reading = f"{encoder_json} and {vocab_bpe}"
            return cls(vocab, merges, ["<|endoftext|>"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Unusable(f"{reading}: damaged, or something else ({error!r})") from error

    def encode_iterable(self, texts: Iterable[str], *, allowed_special: Allowed = "none") -> Iterator[int]:
        names = self._allowed(allowed_special)
        return chain.from_iterable(self._part(*part) for part in _settled(texts, names, self.pattern))


def _undecided(text: str, names: Sequence[str]) -> int:
    """Where the first special token may begin that is not yet complete, or a longer one than is there now."""
    longest = max(map(len, names), default=0)
    place = 0
    while place < len(text):
        rest = text[place : place + longest]
        if place + longest > len(text) and any(
            len(name) > len(rest) and name.startswith(rest) for name in names
        ):
            return place
        place += max((len(name) for name in names if rest.startswith(name)), default=1)
    return place


def _settled(texts: Iterable[str], names: Sequence[str], pattern: str | None) -> Iterator[tuple[str, bool]]:
    kept = ""
    names = [*filter(None, names)]
    for piece in texts:
        kept += piece
        end = _undecided(kept, names) if names else len(kept)
        parts = [*split_special(kept[:end], names)]
        rest = kept[end:]
        if parts and not parts[-1][1]:
            last = parts.pop()[0]
            words = [*pretokenize(last, pattern)] if pattern == GPT2_SPLIT_PATTERN else [last]
            parts += [(word, False) for word in words[:-2]]
            rest = "".join(words[-2:]) + rest
        yield from parts
        kept = rest
    yield from split_special(kept, names)


def compression(tok: BPETokenizer, text: str) -> float:
    if not text:
        raise Unusable("an empty text has no compression")
    return len(text.encode()) / len(tok.encode(text))


def byte_characters() -> dict[int, str]:
    own = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    further = map(chr, count(0x100))
    return {byte: chr(byte) if byte in own else next(further) for byte in range(256)}
