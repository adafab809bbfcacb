"""The tokenizer: text to ids and back.    Steps: codec, special, files

vocab: id -> bytes. merges: pairs of bytes, in the order in which they were learned; the place of a merge is its rank.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import fast
import regex
from pairs import merge
from words import GPT2_SPLIT_PATTERN, find_words, split_special

FORMAT = "cohort.tokenizer/1"
CACHED_WORDS = 1 << 18  # at most so many, so that memory stays bounded on any stream
LONG = 100  # bytes; longer words are merged with a heap

Allowed = set[str] | Literal["all", "none"]


class BPETokenizer:
    """Byte-pair encoding over the words of a pattern.

    vocab: id -> bytes; must hold all 256 single bytes and the result of every merge.
    special_tokens: whole texts with an id of their own. Those that the vocabulary lacks get the ids after its largest.
    pattern: how text is cut into words (`words.pretokenize`); None for no cutting at all.
    Attributes: vocab, merges, special_tokens, pattern, as they were given, the missing special tokens added to vocab.
    Raises ValueError for a vocabulary that lacks a byte or the result of a merge.
    """

    # --- step: codec ----------------------------------------------------------------------------------------

    def __init__(
        self,
        vocab: dict[int, bytes],
        merges: list[tuple[bytes, bytes]],
        special_tokens: Sequence[str] | None = None,
        pattern: str | None = GPT2_SPLIT_PATTERN,
    ) -> None:
        self.vocab = dict(vocab)
        self.merges = list(merges)
        self.special_tokens = list(special_tokens or [])
        self.pattern = pattern
        if "" in self.special_tokens:
            raise ValueError("a special token has at least one character")
        self._special_ids = self._number_special_tokens()
        special = set(self._special_ids.values())
        ids = {piece: id for id, piece in self.vocab.items() if id not in special}
        missing = [byte for byte in range(256) if bytes([byte]) not in ids]
        parts = (piece for left, right in self.merges for piece in (left, right, left + right))
        missing_merges = [piece for piece in parts if piece not in ids]
        if missing or missing_merges:
            lacks = f"the byte {missing[0]}" if missing else f"{missing_merges[0]!r}, which a merge uses"
            raise ValueError(f"the vocabulary lacks {lacks}")
        self._bytes = [ids[bytes([byte])] for byte in range(256)]  # byte -> id
        # The place of a pair of ids among the merges, and the id that it becomes.
        self._ranks: dict[tuple[int, int], tuple[int, int]] = {}
        for rank, (left, right) in enumerate(self.merges):
            self._ranks.setdefault((ids[left], ids[right]), (rank, ids[left + right]))
        self._cache = _Words(self)

    def encode(self, text: str, *, allowed_special: Allowed = "none") -> list[int]:
        """The ids of a text: in each word, the merge that was learned first is made first, from left to right.

        allowed_special: special tokens that become their own id: a set, "all" or "none". Others are ordinary text.
        Raises ValueError for a set with something that is no special token, and for half a surrogate pair.
        """
        ids: list[int] = []
        for part, special in split_special(text, self._allowed(allowed_special)):
            if special:
                ids.append(self._special_ids[part])
            else:
                found = find_words(part, self.pattern)
                ids.extend(
                    itertools.chain.from_iterable(map(self._cache.__getitem__, found))
                )  # a loop, but in C
        return ids

    def decode(self, ids: Sequence[int], errors: str = "replace") -> str:
        """The text of these ids. Bytes are joined first: a letter may be spread over several tokens.

        errors: as in `bytes_to_text`. Raises ValueError for an id that is not in the vocabulary.
        """
        try:
            data = b"".join([self.vocab[id] for id in ids])
        except KeyError as unknown:
            raise ValueError(f"there is no token with the id {unknown.args[0]!r}") from None
        return data.decode("utf-8", errors=errors)

    def merge_word(self, word: bytes) -> list[int]:
        """The ids of one word."""
        ids = [self._bytes[byte] for byte in word]
        if len(ids) > LONG:
            return self._merge_long(ids)
        while len(ids) > 1:
            pair = min(itertools.pairwise(ids), key=self._rank)
            if pair not in self._ranks:
                break
            ids = merge(ids, pair, self._ranks[pair][1])
        return ids

    def _rank(self, pair: tuple[int, int]) -> int:
        return self._ranks.get(pair, (len(self.merges), 0))[0]

    def _merge_long(self, ids: list[int]) -> list[int]:
        """The same for a long word: a heap of (rank, place), so that n bytes take n log n steps and not n * n.

        (The same for merges that training can produce: a token is never learned before its parts.)
        """
        end = len(ids)
        after = list(range(1, end + 1))  # place -> next place that still holds an id
        before = list(range(-1, end - 1))
        heap = [
            (self._ranks[pair][0], i, pair)
            for i, pair in enumerate(itertools.pairwise(ids))
            if pair in self._ranks
        ]
        heapq.heapify(heap)
        while heap:
            _, i, pair = heapq.heappop(heap)
            j = after[i]
            if j >= end or (ids[i], ids[j]) != pair:
                continue  # one of the two has been merged with another neighbour since
            ids[i], ids[j] = self._ranks[pair][1], -1
            after[i] = after[j]
            if after[i] < end:
                before[after[i]] = i
            for left, right in ((before[i], i), (i, after[i])):
                if left >= 0 and right < end and (ids[left], ids[right]) in self._ranks:
                    new = (ids[left], ids[right])
                    heapq.heappush(heap, (self._ranks[new][0], left, new))
        return [id for id in ids if id >= 0]

    # --- step: special --------------------------------------------------------------------------------------

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = ("<|endoftext|>",),
        pattern: str | None = GPT2_SPLIT_PATTERN,
    ) -> BPETokenizer:
        """Learn a vocabulary of `vocab_size` tokens: 256 bytes, then merges, then the special tokens.

        texts: documents. Nothing is learned from special tokens in them, nor across them or from text to text.
        The vocabulary is smaller when the texts have no more pairs to merge.
        Raises ValueError if `vocab_size` has no room for the bytes and the special tokens, TypeError for a bare string.
        """
        if isinstance(texts, str):
            raise TypeError("texts must be several texts, such as [text]; this is one string")
        n_merges = vocab_size - 256 - len(special_tokens)
        if n_merges < 0:
            least = 256 + len(special_tokens)
            raise ValueError(f"vocab_size is {vocab_size}; bytes and special tokens alone need {least}")
        return cls.from_merges(
            fast.learn_merges(fast.count_words(texts, pattern, special_tokens), n_merges),
            special_tokens,
            pattern,
        )

    @classmethod
    def from_merges(
        cls,
        merges: list[tuple[bytes, bytes]],
        special_tokens: Sequence[str] = (),
        pattern: str | None = GPT2_SPLIT_PATTERN,
    ) -> BPETokenizer:
        """Ids in their usual order: bytes, merges, special tokens."""
        pieces = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
        return cls(dict(enumerate(pieces)), merges, special_tokens, pattern)

    def _number_special_tokens(self) -> dict[str, int]:
        """special token -> id. One that is also an ordinary token, such as "the", has an id of its own beside it."""
        numbers = {}
        ordinary = {left + right for left, right in self.merges} | {bytes([byte]) for byte in range(256)}
        for token in self.special_tokens:
            piece = token.encode("utf-8")
            there = sorted(id for id, other in self.vocab.items() if other == piece)
            if len(there) > (piece in ordinary):
                numbers[token] = there[-1]
            else:
                numbers[token] = max(self.vocab, default=-1) + 1
                self.vocab[numbers[token]] = piece
        return numbers

    def _allowed(self, allowed: Allowed) -> list[str]:
        if isinstance(allowed, str):
            if allowed not in ("all", "none"):
                raise ValueError(
                    f'allowed_special is "all", "none" or a set of special tokens, not {allowed!r}'
                )
            return self.special_tokens if allowed == "all" else []
        unknown = [token for token in allowed if token not in self._special_ids]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a special token of this tokenizer")
        return list(allowed)

    # --- step: files ----------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write everything to one JSON file. The file appears when it is complete, or not at all."""
        special = set(self._special_ids.values())
        content = {
            "format": FORMAT,
            "pattern": self.pattern,
            "special_tokens": self._special_ids,
            "vocab": {id: printable(piece) for id, piece in self.vocab.items() if id not in special},
            "merges": [f"{printable(left)} {printable(right)}" for left, right in self.merges],
        }
        write_whole(Path(path), json.dumps(content, ensure_ascii=False, indent=0).encode("utf-8"))

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        """Read what `save` wrote. Raises ValueError that names the file if it is something else, or damaged."""
        try:
            content = json.loads(Path(path).read_bytes())
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
            special = {token: _whole_number(id) for token, id in content["special_tokens"].items()}
            vocab = {_whole_number(int(id)): from_printable(piece) for id, piece in content["vocab"].items()}
            vocab |= {id: token.encode("utf-8") for token, id in special.items()}
            find_words("", content["pattern"])  # a pattern that cannot be used shows here
            return cls(vocab, _parse_merges(content["merges"]), list(special), content["pattern"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, regex.error) as trouble:
            raise ValueError(f"{path} is not a whole tokenizer file: {trouble}") from None

    @classmethod
    def from_gpt2(cls, encoder_json: str | Path, vocab_bpe: str | Path) -> BPETokenizer:
        """GPT-2's own tokenizer, from the two files that OpenAI published with it.

        Its 256 bytes have other ids than ours, and <|endoftext|> is 50256. Raises ValueError for a damaged file.
        """
        try:
            encoder = json.loads(Path(encoder_json).read_bytes())
            lines = Path(vocab_bpe).read_text(encoding="utf-8").split("\n")
            merges = _parse_merges([line for line in lines[1:] if line])  # the first line is "#version: 0.2"
            special = [token for token in encoder if token == "<|endoftext|>"]
            vocab = {id: from_printable(piece) for piece, id in encoder.items() if piece not in special}
            vocab |= {encoder[token]: token.encode("utf-8") for token in special}
            if len(encoder) != 256 + len(merges) + len(special):
                raise ValueError(f"{len(encoder)} tokens do not fit to {len(merges)} merges")
            return cls(vocab, merges, special)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as trouble:
            raise ValueError(f"{encoder_json} and {vocab_bpe} are not GPT-2's files: {trouble}") from None

    # --- step: shards ---------------------------------------------------------------------------------------

    def encode_iterable(self, texts: Iterable[str], *, allowed_special: Allowed = "none") -> Iterator[int]:
        """The ids of one long text that comes in pieces, as they come: `encode("".join(texts))`, without the join.

        A piece may end in the middle of a word or of a special token. What the next piece could still change is kept
        back: the last two words ("'l" and "l" are one contraction), and what may be the beginning of a special token.
        This holds for GPT-2's pattern. With another one, or none, all of the text waits until its end is there.
        """
        allowed = self._allowed(allowed_special)
        longest = max(map(len, allowed), default=1)
        kept = ""
        for text in texts:
            ids, kept = self._decided(kept + text, allowed, longest)
            yield from ids
        yield from self.encode(kept, allowed_special=allowed_special)

    def _decided(self, text: str, allowed: list[str], longest: int) -> tuple[list[int], str]:
        """(the ids that no further text can change, the text that they leave over)"""
        if self.pattern != GPT2_SPLIT_PATTERN:
            return [], text
        sure = len(text) - longest + 1  # a special token that begins before here is complete
        ids: list[int] = []
        end = 0
        for part, special in split_special(text, allowed):
            whole = end + len(part) < sure or (special and end < sure)
            if special and whole:
                ids.append(self._special_ids[part])
                end += len(part)
            elif not special:
                found = find_words(part if whole else part[: max(0, sure - end)], self.pattern)
                for word in found if whole else found[:-2]:
                    ids += self._cache[word]
                    end += len(word)
            if not whole:
                break
        return ids, text[end:]


class _Words(dict[str, list[int]]):
    """Word -> ids, worked out when it is first asked for."""

    def __init__(self, tokenizer: BPETokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, word: str) -> list[int]:
        ids = self.tokenizer.merge_word(word.encode("utf-8"))
        if len(self) < CACHED_WORDS and len(word) <= LONG:
            self[word] = ids
        return ids


# --- step: codec --------------------------------------------------------------------------------------------


def compression(tok: BPETokenizer, text: str) -> float:
    """Bytes per token. Raises ValueError for an empty text."""
    if not text:
        raise ValueError("an empty text has no tokens")
    return len(text.encode("utf-8")) / len(tok.encode(text))


# --- step: files --------------------------------------------------------------------------------------------


def byte_characters() -> dict[int, str]:
    """GPT-2's printable character for each byte: its own where that is printable, else the next one from U+0100 on.

    A space becomes "Ġ", a line feed "Ċ". So every token can be written in a text file, and none contains a space.
    """
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + n) for n, byte in enumerate(others)}


_CHARACTERS = byte_characters()
_BYTES = {character: byte for byte, character in _CHARACTERS.items()}


def printable(piece: bytes) -> str:
    """b" the" becomes "Ġthe"."""
    return "".join([_CHARACTERS[byte] for byte in piece])


def from_printable(text: str) -> bytes:
    """The inverse of `printable`. Raises KeyError for a character that stands for no byte."""
    return bytes([_BYTES[character] for character in text])


def _parse_merges(lines: Any) -> list[tuple[bytes, bytes]]:
    merges = []
    for line in lines:
        left, right = line.split(" ")
        merges.append((from_printable(left), from_printable(right)))
    return merges


def _whole_number(id: Any) -> int:
    if type(id) is not int or not 0 <= id < 1 << 31:
        raise ValueError("an id is a whole number from 0 on, below two billion")
    return id


def write_whole(path: Path, data: bytes) -> None:
    """Write beside the file, then rename: whoever looks sees the old file or the new one, never half of one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
