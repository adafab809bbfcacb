"""A stranger's model, made of the kit's own code and the numbers of the entry; no member's code.

What the header claims is compared with the tensors that are there before anything of its size is made: a model takes
no more memory than its file stands for.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from safetensors.torch import load
from torch import Tensor, nn

from cohort_cli.errors import CohortError
from cohort_cli.showcase import strict
from cohort_cli.showcase.quantised import FORMAT, SCALE, SIZES, SWITCHES, Flags, network, shape_of
from cohort_cli.showcase.strict import Refused
from cohort_cli.tokens import formats
from cohort_cli.training.config import CHOICES
from cohort_cli.training.data import tokenizer as tokenizers

# As assets/weights.js: whatever a page shows can be measured.
MOST = {
    "vocab_size": 1 << 20,
    "context": 1 << 20,
    "n_layers": 1000,
    "n_heads": 1000,
    "d_model": 1 << 16,
    "d_ff": 1 << 18,
}
LONGEST_MEAN = 16  # bytes per token of the text; what goes beyond has learned the text itself as tokens


# --- weights ---------------------------------------------------------------------------------------------------


def model_of(data: bytes, longest: int) -> tuple[nn.Module, int, int]:
    """(network, its parameters, the longest window that it takes and that is asked for). Raises Refused."""
    found = strict.tensors(data, len(data))
    strict.require_finite(data, found)
    flags = _flags(data)
    length = min(int(flags["context"]), longest)
    if flags["positions"] == "rope":
        flags["context"] = str(length)  # the angles of positions that no window has need not be computed
    _require_shapes(flags, found)
    raw = load(data)
    tensors: dict[str, Tensor] = {}
    for name, tensor in raw.items():
        if not name.endswith(SCALE):
            scale = raw.get(name + SCALE)
            tensors[name] = tensor.float() if scale is None else tensor.float() * scale[:, None]
    return network(flags, tensors), sum(tensor.numel() for tensor in tensors.values()), length


def _flags(data: bytes) -> Flags:
    length = int.from_bytes(data[:8], "little")
    flags = strict.value(data[8 : 8 + length].decode()).get("__metadata__", {})
    strict.table(flags, ("format", *SIZES, *SWITCHES, "bias", "tied"))
    choices = {"format": (FORMAT,), "bias": ("yes", "no"), "tied": ("yes", "no")}
    choices |= {key: CHOICES[f"model.{key}"] for key in SWITCHES}
    for key, allowed in choices.items():
        if flags[key] not in allowed:
            raise Refused(f"its header says {key} = {flags[key]!r:.40}, which is not known")
    for key in SIZES:
        if int(strict.words(flags[key], key, r"[1-9][0-9]{0,6}")) > MOST[key]:
            raise Refused(f"its header says {key} = {flags[key]}, which is too large")
    if int(flags["d_model"]) % int(flags["n_heads"]):
        raise Refused("n_heads does not divide d_model")
    if flags["positions"] == "rope" and int(flags["d_model"]) // int(flags["n_heads"]) % 2:
        raise Refused("rotary positions turn pairs, and a head has an odd size")
    return dict(flags)


def _require_shapes(flags: Flags, found: dict[str, strict.Tensor]) -> None:
    if shape_of(flags)[0].n_layers > len(found):
        raise Refused(f"its header names {flags['n_layers']} layers, and there are {len(found)} tensors")
    wanted = {name: tuple(tensor.shape) for name, tensor in network(flags).state_dict().items()}
    if flags["tied"] == "yes":
        del wanted["lm_head.weight"]
    for name, shape in list(wanted.items()):
        if len(shape) == 2 and name in found and found[name].dtype == "I8":
            wanted[name + SCALE] = shape[:1]
    for name in sorted(wanted.keys() | found.keys()):
        if name not in wanted:
            raise Refused(f"it has {name}, which its header does not name")
        if name not in found or found[name].shape != wanted[name]:
            raise Refused(f"it has no {name} of the shape {list(wanted[name])}")
        if found[name].dtype != "F32" and (len(wanted[name]) != 2 or found[name].dtype != "I8"):
            raise Refused(f"{name} is of the type {found[name].dtype}")


# --- tokens ----------------------------------------------------------------------------------------------------


class Encoded(NamedTuple):
    ids: list[int]
    sizes: list[int]  # bytes of the text that each token stands for


def encode(data: bytes, text: str) -> Encoded:
    """The text as this tokenizer.json cuts it. Raises Refused unless its tokens spell exactly the text.

    So a tokenizer that loses something of the text, and would make it easier, cannot be used; and bytes are counted by
    the text, whatever the tokens say that they are.
    """
    content = json.loads(data)
    letters = content.get("alphabet") if "schema" in content else None
    pieces = _characters(letters, text) if letters is not None else _bpe(content, data.decode(), text)
    spelled = b"".join(piece for _, piece in pieces)
    if spelled != text.encode():
        at = next(
            (n for n, (a, b) in enumerate(zip(spelled, text.encode(), strict=False)) if a != b), len(spelled)
        )
        raise Refused(f"tokenizer.json: its tokens spell another text from byte {at:,} on")
    if len(text.encode()) > LONGEST_MEAN * len(pieces):
        mean = len(text.encode()) / max(1, len(pieces))
        raise Refused(
            f"tokenizer.json: a token has {mean:.0f} bytes of this text on average: it knows the text by heart"
        )
    return Encoded([id for id, _ in pieces], [len(piece) for _, piece in pieces])


def _characters(letters: str, text: str) -> list[tuple[int, bytes]]:
    ids = {letter: id for id, letter in enumerate(letters)}
    if missing := sorted(set(text) - ids.keys()):
        raise Refused(
            f"tokenizer.json: it cannot write {missing[0]!r} (U+{ord(missing[0]):04X}), which the text has"
        )
    return [(ids[letter], letter.encode()) for letter in text]


def _bpe(content: dict[str, Any], text_of_file: str, text: str) -> list[tuple[int, bytes]]:
    if content.get("kind") == "gpt2":
        text_of_file = tokenizers.gpt2_as_file().to_str()
    try:
        parts = formats.from_huggingface(text_of_file)
        encoder = tokenizers.HuggingFace(formats.to_huggingface(parts), "tokenizer.json")
        ids = encoder.encode(text)
    except (ValueError, CohortError) as trouble:
        if isinstance(trouble, CohortError) and trouble.exit_code == 4:
            raise  # the library is missing: that is no fault of the entry
        raise Refused(f"tokenizer.json: it cannot be used: {str(trouble)[:120]}") from None
    return [(id, parts.vocab.get(id, b"")) for id in ids]
