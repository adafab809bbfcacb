"""The tokenizer: text to ids and back.    Steps: codec, special, files

vocab: id -> bytes. merges: pairs of bytes, in the order in which they were learned; the place of a merge is its rank.
You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from words import GPT2_SPLIT_PATTERN

Allowed = set[str] | Literal["all", "none"]


class BPETokenizer:
    """Byte-pair encoding over the words of a pattern.

    vocab: id -> bytes; must hold all 256 single bytes and the result of every merge.
    special_tokens: whole texts with an id of their own. Those that the vocabulary lacks get the ids after its largest.
    pattern: how text is cut into words (`words.pretokenize`); None for no cutting at all. (The step `words` asks for a
        pattern; until then every check uses None.)
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
        raise NotImplementedError("codec: BPETokenizer.__init__")

    def encode(self, text: str, *, allowed_special: Allowed = "none") -> list[int]:
        """The ids of a text: in each word, the merge that was learned first is made first, from left to right.

        allowed_special: special tokens that become their own id: a set, "all" or "none". Others are ordinary text.
        Raises ValueError for a set with something that is no special token, and for half a surrogate pair.
        """
        raise NotImplementedError("codec: BPETokenizer.encode")

    def decode(self, ids: Sequence[int], errors: str = "replace") -> str:
        """The text of these ids. Bytes are joined first: a letter may be spread over several tokens.

        errors: as in `bytes_to_text`. Raises ValueError for an id that is not in the vocabulary.
        """
        raise NotImplementedError("codec: BPETokenizer.decode")

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
        raise NotImplementedError("special: BPETokenizer.train")

    # --- step: files ----------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write everything to one JSON file. The file appears when it is complete, or not at all."""
        raise NotImplementedError("files: BPETokenizer.save")

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        """Read what `save` wrote. Raises ValueError that names the file if it is something else, or damaged."""
        raise NotImplementedError("files: BPETokenizer.load")

    @classmethod
    def from_gpt2(cls, encoder_json: str | Path, vocab_bpe: str | Path) -> BPETokenizer:
        """GPT-2's own tokenizer, from the two files that OpenAI published with it.

        Its 256 bytes have other ids than ours, and <|endoftext|> is 50256. Raises ValueError for a damaged file.
        """
        raise NotImplementedError("files: BPETokenizer.from_gpt2")

    # --- step: shards ---------------------------------------------------------------------------------------

    def encode_iterable(self, texts: Iterable[str], *, allowed_special: Allowed = "none") -> Iterator[int]:
        """The ids of one long text that comes in pieces, as they come: `encode("".join(texts))`, without the join.

        A piece may end in the middle of a word or of a special token: what the next piece could still change must wait.
        Memory does not grow with the length of the text, if it is cut by GPT-2's pattern. (With another pattern, or
        none, all of it may wait for the end.)
        """
        raise NotImplementedError("shards: BPETokenizer.encode_iterable")


# --- step: codec --------------------------------------------------------------------------------------------


def compression(tok: BPETokenizer, text: str) -> float:
    """Bytes per token. Raises ValueError for an empty text."""
    raise NotImplementedError("codec: compression")


# --- step: files --------------------------------------------------------------------------------------------


def byte_characters() -> dict[int, str]:
    """GPT-2's printable character for each byte: its own where that is printable, else the next one from U+0100 on.

    A space becomes "Ġ", a line feed "Ċ". So every token can be written in a text file, and none contains a space.
    """
    raise NotImplementedError("files: byte_characters")
