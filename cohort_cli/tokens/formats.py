"""A tokenizer's parts, and two formats in which others keep them: Hugging Face's tokenizer.json, and tiktoken's ranks.

Every function is pure: text in, parts out, or the other way. What a format cannot hold, and what we could not follow
exactly, is refused with ValueError that says what it is.

Hugging Face: vocabulary, merges, special tokens and pattern, all in one JSON object. Only byte-level BPE is read.

tiktoken: lines of "base64 of the token, a space, its rank". It holds no merges, no special tokens and no pattern. A
merge is found again by cutting the token with the ranks below its own: two pieces are left, and they are the merge.
Special tokens and the pattern must be said when the file is read.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

GPT2_SPLIT_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LONGEST = 1024  # bytes of a token in a file of ranks: finding its merge again takes the square of that


class Parts(NamedTuple):
    """All that there is to a byte-level BPE tokenizer. Special tokens are in the vocabulary too."""

    vocab: dict[int, bytes]
    merges: list[tuple[bytes, bytes]]
    special_tokens: list[str]
    pattern: str | None  # how text is cut into words; None for no cutting


def covering(pattern: str | None) -> str:
    """A pattern that cuts in the same way and finds all of a text: what lies between two words is a word too.

    tiktoken would drop it. GPT-2's pattern finds everything as it is; None cuts nothing.
    """
    if pattern is None:
        return r"[\s\S]+"
    return pattern if pattern == GPT2_SPLIT_PATTERN else rf"(?:{pattern})|(?:(?!{pattern})[\s\S])+"


def recognise(data: bytes) -> str:
    """ "cohort", "huggingface" or "tiktoken", by the content of a file. ValueError if it is none of them."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as trouble:
        raise ValueError(f"it is not UTF-8 text (byte {trouble.start})") from None
    if re.match(r"[A-Za-z0-9+/]+=* [0-9]+\r?(\n|$)", text):
        return "tiktoken"
    content = _json_object(text)
    if isinstance(content.get("format"), str):
        return "cohort"
    if "model" in content:
        return "huggingface"
    raise ValueError('it is a JSON object, but has neither "format" nor "model"')


def _json_object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is neither JSON nor lines of a token in base64 and its rank") from None
    if not isinstance(content, dict):
        raise ValueError("it is JSON, but not an object")
    return content


def special_ids(parts: Parts) -> dict[str, int]:
    """Special token -> id. Of several ids with the same bytes it is the last. ValueError if there is none."""
    last = {piece: id for id, piece in sorted(parts.vocab.items())}
    found = {}
    for token in parts.special_tokens:
        if token.encode("utf-8") not in last:
            raise ValueError(f"the special token {token!r} is not in the vocabulary")
        found[token] = last[token.encode("utf-8")]
    return found


def ordinary(parts: Parts) -> dict[bytes, int]:
    """Bytes -> id, without special tokens: the 256 bytes and what merges make. ValueError if that is not so."""
    special = set(special_ids(parts).values())
    ids: dict[bytes, int] = {}
    for id, piece in parts.vocab.items():
        if id in special:
            continue
        if piece in ids:
            raise ValueError(
                f"the ids {ids[piece]} and {id} are both {piece!r}, and a file can hold only one"
            )
        ids[piece] = id
    _refuse_gaps(ids, parts.merges)
    return ids


def _refuse_gaps(ids: Mapping[bytes, int], merges: list[tuple[bytes, bytes]]) -> None:
    for byte in range(256):
        if bytes([byte]) not in ids:
            raise ValueError(f"the vocabulary lacks the byte {byte}")
    made = {bytes([byte]) for byte in range(256)}
    for left, right in merges:
        if left not in made or right not in made:
            raise ValueError(f"the merge of {left!r} and {right!r} comes before one of the two is made")
        made.add(left + right)
        if left + right not in ids:
            raise ValueError(f"the vocabulary lacks {left + right!r}, which a merge makes")
    for piece in ids:
        if piece not in made:
            raise ValueError(f"no merge makes the token {piece!r}")


# --- Hugging Face -------------------------------------------------------------------------------------------

_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False}
_MODEL = {"dropout": (None, 0), "continuing_subword_prefix": (None, ""), "end_of_word_suffix": (None, ""),
          "fuse_unk": (None, False), "byte_fallback": (None, False), "ignore_merges": (None, False)}  # fmt: skip


def to_huggingface(parts: Parts) -> str:
    """The text of a tokenizer.json, which `tokenizers.Tokenizer.from_file` reads."""
    vocab = {printable(piece): id for piece, id in ordinary(parts).items()}
    added = []
    for token, id in sorted(special_ids(parts).items(), key=lambda item: item[1]):
        if token in vocab:
            raise ValueError(f"the special token {token!r} is written like an ordinary token")
        vocab[token] = id
        added.append({"id": id, "content": token, **_PLAIN, "normalized": False, "special": True})
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(parts.pattern, byte_level),
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(sorted(vocab.items(), key=lambda item: item[1])),
            "merges": [[printable(left), printable(right)] for left, right in parts.merges],
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _pre_tokenizer(pattern: str | None, byte_level: dict[str, Any]) -> dict[str, Any]:
    if pattern is None or pattern == GPT2_SPLIT_PATTERN:  # the latter is what use_regex stands for
        return {**byte_level, "use_regex": pattern is not None}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, {**byte_level, "use_regex": False}]}


def from_huggingface(text: str) -> Parts:
    """The parts of a byte-level BPE tokenizer.json. ValueError for every other kind of tokenizer."""
    content = _json_object(text)
    for key in ("normalizer", "truncation", "padding"):
        if content.get(key) is not None:
            raise ValueError(f'"{key}" changes the text or the ids, which ours cannot follow')
    if _kind(content.get("post_processor")) not in (None, "ByteLevel"):
        raise ValueError('"post_processor" adds tokens to each text, which ours cannot follow')
    pattern = _read_pattern(content.get("pre_tokenizer"))
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE":
        raise ValueError(f'"model" is {_kind(model)!r}; only "BPE" can be read')
    for key, values in _MODEL.items():
        if model.get(key) not in values:
            raise ValueError(f'"{key}" of the model is {model[key]!r}, which ours cannot follow')
    written, special = _vocab(model.get("vocab")), _added(content.get("added_tokens", []))
    for token, id in special.items():
        if written.pop(token, id) != id:
            raise ValueError(f"the special token {token!r} has two ids")
    vocab = {id: _from_printable(token) for token, id in written.items()}
    for token, id in special.items():
        if id in vocab:
            raise ValueError(f"the id {id} belongs to two tokens")
        vocab[id] = token.encode("utf-8")
    parts = Parts(dict(sorted(vocab.items())), _merges(model.get("merges")), list(special), pattern)
    ordinary(parts)
    return parts


def is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 31


def _kind(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else None


def _read_pattern(value: Any) -> str | None:
    steps = value.get("pretokenizers") if _kind(value) == "Sequence" else [value]
    if not isinstance(steps, list) or [_kind(step) for step in steps] not in (
        ["ByteLevel"],
        ["Split", "ByteLevel"],
    ):
        raise ValueError('"pre_tokenizer" is not ByteLevel, so this is no byte-level BPE')
    byte_level = steps[-1]
    if byte_level.get("add_prefix_space") is not False:
        raise ValueError('"add_prefix_space" puts a space before each text, which ours cannot follow')
    if len(steps) == 1:
        return GPT2_SPLIT_PATTERN if byte_level.get("use_regex", True) else None
    split = steps[0]
    pattern = split.get("pattern")
    if (
        byte_level.get("use_regex", True)
        or split.get("behavior") != "Isolated"
        or split.get("invert")
        or not isinstance(pattern, dict)
        or not isinstance(pattern.get("Regex"), str)
    ):
        raise ValueError('"pre_tokenizer" cuts in a way that ours cannot follow')
    import regex  # type: ignore[import-untyped]

    try:
        regex.compile(pattern["Regex"])
    except (regex.error, RecursionError, MemoryError) as trouble:
        raise ValueError(f"the pattern cannot be read: {trouble or type(trouble).__name__}") from None
    return str(pattern["Regex"])


def _vocab(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(map(is_id, value.values())):
        raise ValueError('"vocab" is not an object of tokens and their ids')
    if len(set(value.values())) < len(value):
        raise ValueError("two tokens of the vocabulary have the same id")
    return dict(value)


def _added(value: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for token in value if isinstance(value, list) else [value]:
        if not isinstance(token, dict) or not isinstance(token.get("content"), str) or not token["content"]:
            raise ValueError('"added_tokens" is not a list of tokens with "id" and "content"')
        if any(token.get(key, False) is not False for key in _PLAIN):
            raise ValueError(
                f"the added token {token['content']!r} takes spaces with it, which ours cannot follow"
            )
        if not is_id(token.get("id")) or token["content"] in found:
            raise ValueError(f"the added token {token['content']!r} has no id, or two")
        found[token["content"]] = token["id"]
    return found


def _merges(value: Any) -> list[tuple[bytes, bytes]]:
    found = []
    for line in value if isinstance(value, list) else [value]:
        pair = line.split(" ") if isinstance(line, str) else line
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(half, str) for half in pair):
            raise ValueError(f'"merges" has {line!r}, which is not two tokens')
        found.append((_from_printable(pair[0]), _from_printable(pair[1])))
    return found


# --- tiktoken -----------------------------------------------------------------------------------------------


def to_tiktoken(parts: Parts) -> str:
    """The lines of a tiktoken file. Special tokens and the pattern are not in it; whoever reads it must know them.

    ValueError if the merges could not be found again from the ranks: then tiktoken would cut some text differently.
    """
    ids = ordinary(parts)
    order = [ids[left + right] for left, right in parts.merges]
    if any(before >= after for before, after in pairwise(order)):
        raise ValueError("the ids of the merges do not rise, so they cannot be ranks")
    if recover_merges(ids) != parts.merges:
        raise ValueError("the merges do not follow from the ranks, so tiktoken would cut differently")
    lines = sorted((id, piece) for piece, id in ids.items())
    return "".join(f"{base64.b64encode(piece).decode('ascii')} {id}\n" for id, piece in lines)


def from_tiktoken(
    text: str,
    special_tokens: Mapping[str, int] | None = None,
    pattern: str | None = GPT2_SPLIT_PATTERN,
) -> Parts:
    """The parts of a tokenizer whose ranks are in tiktoken's form. special_tokens, pattern: what the file lacks."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        word, _, rank = line.partition(" ")
        try:
            piece = base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            piece = b""
        if not piece or not re.fullmatch("[0-9]{1,9}", rank):
            raise ValueError(f"line {number} is not a token in base64, a space and its rank")
        if len(piece) > LONGEST:
            raise ValueError(f"line {number} has a token of {len(piece):,} bytes; {LONGEST:,} are allowed")
        if piece in ranks:
            raise ValueError(f"line {number} has the token {piece!r} again")
        ranks[piece] = int(rank)
    vocab = {rank: piece for piece, rank in sorted(ranks.items(), key=lambda item: item[1])}
    if len(vocab) < len(ranks):
        raise ValueError("two tokens have the same rank")
    for byte in range(256):
        if bytes([byte]) not in ranks:
            raise ValueError(f"the ranks lack the byte {byte}")
    for token, id in (special_tokens or {}).items():
        if id in vocab:
            raise ValueError(f"the id {id} of the special token {token!r} is a rank too")
        vocab[id] = token.encode("utf-8")
    return Parts(vocab, recover_merges(ranks), list(special_tokens or {}), pattern)


def recover_merges(ranks: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The merge behind each token of two bytes and more, by rank.

    With only the ranks below its own, a token falls into two pieces. ValueError if it falls into more.
    """
    merges = []
    for piece, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(piece) > 1:
            halves = _cut(piece, ranks, rank)
            if len(halves) != 2:
                raise ValueError(f"no merge makes the token {piece!r} (rank {rank})")
            merges.append((halves[0], halves[1]))
    return merges


def _cut(piece: bytes, ranks: Mapping[bytes, int], below: int) -> list[bytes]:
    """The pieces that are left when all that has a rank below this one is merged, the lowest rank first."""
    parts = [bytes([byte]) for byte in piece]
    while len(parts) > 1:
        found = [ranks.get(left + right, below) for left, right in pairwise(parts)]
        least = min(found)
        if least >= below:
            break
        place = found.index(least)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


# --- GPT-2's printable bytes --------------------------------------------------------------------------------


def _byte_characters() -> dict[int, str]:
    """A printable character for each byte: its own, or the next from U+0100 on. A space becomes "Ġ"."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + n) for n, byte in enumerate(others)}


_CHARACTERS = _byte_characters()
_BYTES = {character: byte for byte, character in _CHARACTERS.items()}


def printable(piece: bytes) -> str:
    """b" the" becomes "Ġthe"."""
    return "".join([_CHARACTERS[byte] for byte in piece])


def _from_printable(text: str) -> bytes:
    try:
        return bytes([_BYTES[character] for character in text])
    except KeyError as unknown:
        raise ValueError(f"the token {text!r} has {unknown.args[0]!r}, which stands for no byte") from None
