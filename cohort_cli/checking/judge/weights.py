"""Where to write weights into a module whose author chose the names.

The guides name parameters as GPT-2 does (c_attn, c_proj, ln_1 …), but a correct module may call them otherwise, or
split c_attn into three. We look for each canonical name in this order:

    1. the very name
    2. a known synonym, part by part (q_proj, to_q, wq … are all "query")
    3. the shape, what the name reminds of ("norm_before_attention"), and how it starts (a gain of ones, an offset of
       zeros), the same way for every layer (`roles.py`)

A matrix that does not belong to an nn.Linear may be used as x @ W. Its shape says so; for a square one, the shapes of
the other matrices of the same module say so. Where something stays open, all the ways to place the weights are
returned, and the check passes if it holds for one of them: names are not what it is about.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any, NoReturn

from torch import Tensor

from cohort_cli.checking.judge.expect import CheckFailed
from cohort_cli.checking.judge.roles import assignments

SYNONYMS = {
    "c_attn": "qkv qkv_proj in_proj to_qkv w_qkv wqkv c_qkv attn_in",
    "query": "q q_proj to_q wq w_q query_proj w_query lin_q proj_q",
    "key": "k k_proj to_k wk w_k key_proj w_key lin_k proj_k",
    "value": "v v_proj to_v wv w_v value_proj w_value lin_v proj_v",
    "c_proj": "proj o o_proj out_proj out to_out wo w_o output w_out dense lin_o proj_o fc2 down down_proj "
    "lin2 linear2 w2 fc_out",
    "c_fc": "fc fc1 up up_proj lin1 linear1 w1 fc_in expand",
    "ln_1": "ln1 norm1 norm_1 attn_norm norm_attn pre_attn_norm input_norm input_layernorm n1",
    "ln_2": "ln2 norm2 norm_2 mlp_norm ffn_norm norm_mlp norm_ffn n2",
    "ln_f": "ln_final norm_f final_norm norm final_ln nf",
    "attn": "attention att self_attn self_attention sa a mha",
    "mlp": "ffn ff feed_forward feedforward m ffwd",
    "wte": "tok_emb token_embedding tok_embedding token_emb embed tokens te token_embeddings",
    "wpe": "pos_emb position_embedding pos_embedding pe positions position_emb pos table position_embeddings",
    "h": "blocks trf_blocks layers block stack trunk",
    "heads": "head hs attn_heads attention_heads",
    "lm_head": "unembed output_head decoder out_head",
    "weight": "gain scale gamma g w",
    "bias": "shift beta b",
}
CANONICAL = {alias: name for name, aliases in SYNONYMS.items() for alias in aliases.split()}


MOST_WAYS = 12


def layouts(info: dict[str, dict[str, Any]], values: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Member's parameter name -> value to write, in every way that the names leave open; the likeliest first.

    `values`: canonical name -> tensor in nn.Linear's layout. Raises CheckFailed, which lists both sides, when something
    has no place or a parameter is left without a value.
    """
    free = {name: entry for name, entry in info.items() if entry["same_as"] is None}
    placed: dict[str, str] = {}  # member's name -> ours
    values = _split_where_needed(values, free)
    for name, value in values.items():
        found = next((own for own in free if own == name), None)
        found = found or next((own for own in free if canonical(own) == canonical(name)), None)
        if found is not None and (
            _fits(value, free[found]) or _by_heads(name, value, free[found]) is not None
        ):
            placed[found] = name
            del free[found]
    waiting = {canonical(name): name for name in values if name not in placed.values()}
    ways = assignments(
        {name: list(values[own].shape) for name, own in waiting.items()},
        {own: (canonical(own), entry) for own, entry in free.items()},
        lambda name, own: _fits(values[waiting[name]], free[own]),
    )
    if not ways:
        _refuse(info, values)
    found_ways = []
    for way in ways:
        whole = placed | {own: waiting[name] for own, name in way.items()}
        for turn_squares in _orientations(whole, values, info):
            found_ways.append(
                {
                    own: _as_used(name, values[name], info[own], own in turn_squares)
                    for own, name in whole.items()
                }
            )
    return list(itertools.islice(found_ways, MOST_WAYS))


def _orientations(
    placed: dict[str, str], values: dict[str, Tensor], info: dict[str, dict[str, Any]]
) -> list[set[str]]:
    """The sets of bare square matrices that are the transposes of ours: one set, or two when nothing tells."""
    bare = {
        own: values[name]
        for own, name in placed.items()
        if values[name].ndim == 2
        and info[own]["owner"] not in ("Linear", "Embedding")
        and _by_heads(name, values[name], info[own]) is None
    }
    linear_like = {
        _module(own) for own, value in bare.items() if not _square(value) and _as_is(value, info[own])
    }
    turned = {
        _module(own) for own, value in bare.items() if not _square(value) and not _as_is(value, info[own])
    }
    squares = {
        own
        for own, value in bare.items()
        if _square(value) and not _is_table(own) and _module(own) not in linear_like
    }
    known = {own for own in squares if _module(own) in turned}
    return [squares] if known == squares else [squares, known]


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _square(value: Tensor) -> bool:
    return value.shape[0] == value.shape[1]


def _is_table(name: str) -> bool:
    """Rows of a table of tokens or positions are never turned."""
    return canonical(name).split(".")[-2:-1] in (["wte"], ["wpe"])


def _as_used(name: str, value: Tensor, entry: dict[str, Any], turn: bool) -> Tensor:
    """The value as the member's parameter holds it."""
    if (by_heads := _by_heads(name, value, entry)) is not None:
        return by_heads
    if turn or not _as_is(value, entry):
        value = value.reshape(entry["shape"]) if _padded(value, entry) else value.T.contiguous()
    return value


def canonical(name: str) -> str:
    """`transformer.blocks.0.attention.Wq.weight` and `h.0.attn.query.weight` are the same place."""
    parts = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", part).lower() for part in name.split(".")]
    if bare_bias := re.fullmatch("b(?:ias)?_?([qkvo])", parts[-1]):  # b_q, beside the matrix w_q
        parts[-1:] = [bare_bias[1], "bias"]
    parts = [
        CANONICAL.get(part, part) for part in parts if part not in ("transformer", "model", "net", "body")
    ]
    if parts[-1] not in ("weight", "bias"):  # a bare nn.Parameter: `wq`, `bq`, `w_o_bias`
        parts.append("weight")
    return ".".join(parts)


def _by_heads(name: str, value: Tensor, entry: dict[str, Any]) -> Tensor | None:
    """The value in a parameter with a dimension for the H heads; None if the shape says something else.

    query, key, value (H*D, C) -> (H, C, D) or (H, D, C); their biases (H*D,) -> (H, D); c_proj (C, H*D) -> (H, D, C).
    """
    shape, role = entry["shape"], canonical(name).split(".")[-2:-1]
    if (
        role not in (["query"], ["key"], ["value"], ["c_proj"])
        or len(shape) != value.ndim + 1
        or shape[0] == 1
    ):
        return None
    if value.numel() != math.prod(shape):
        return None
    if role == ["c_proj"]:
        return value.T.reshape(shape) if value.ndim == 2 and shape[2] == value.shape[0] else None
    if shape[1:] == [value.numel() // shape[0]] or shape[2:] == list(value.shape[1:]):
        return value.reshape(shape)
    if shape[1] == value.shape[1]:
        return value.reshape(shape[0], shape[2], shape[1]).transpose(1, 2).contiguous()
    return None


def _split_where_needed(values: dict[str, Tensor], info: dict[str, dict[str, Any]]) -> dict[str, Tensor]:
    """Cut c_attn into query, key and value where the module has no parameter that could hold it whole."""
    result: dict[str, Tensor] = {}
    own = {canonical(name) for name in info}
    for name, value in values.items():
        pieces = {name: value}
        prefix, c_attn, kind = canonical(name).rpartition("c_attn.")
        if c_attn and canonical(name) not in own:
            thirds = zip(("query", "key", "value"), value.chunk(3), strict=True)
            parts = [_split_by_heads(f"{prefix}{part}.{kind}", third, own) for part, third in thirds]
            in_three = parts[0] | parts[1] | parts[2]
            whole = any(_fits(value, entry) for entry in info.values())
            pieces = in_three if own.issuperset(in_three) or not whole else pieces
        result |= pieces
    return result


def _split_by_heads(name: str, value: Tensor, own: set[str]) -> dict[str, Tensor]:
    """query.weight (H*D, C) cut into query.0.weight (D, C), query.1.weight …, where the module has those."""
    stem, _, kind = name.rpartition(".")
    count = sum(re.fullmatch(rf"{re.escape(stem)}\.\d+\.{kind}", other) is not None for other in own)
    if count == 0 or value.shape[0] % count:
        return {name: value}
    return {f"{stem}.{i}.{kind}": part for i, part in enumerate(value.chunk(count))}


def _fits(value: Tensor, entry: dict[str, Any]) -> bool:
    turned = entry["owner"] != "Linear" and entry["shape"] == list(value.shape)[::-1]
    return _as_is(value, entry) or turned or _padded(value, entry)


def _as_is(value: Tensor, entry: dict[str, Any]) -> bool:
    return bool(entry["shape"] == list(value.shape))


def _padded(value: Tensor, entry: dict[str, Any]) -> bool:
    """The same with dimensions of size 1 in front, as in a table of positions of shape (1, T, C)."""
    shape = entry["shape"]
    front = len(shape) - value.ndim
    return front > 0 and shape[:front] == [1] * front and shape[front:] == list(value.shape)


def _refuse(info: dict[str, dict[str, Any]], values: dict[str, Tensor]) -> NoReturn:
    wanted = ", ".join(f"{name} {tuple(value.shape)}" for name, value in values.items())
    found = ", ".join(
        f"{name} {tuple(entry['shape'])}" for name, entry in info.items() if entry["same_as"] is None
    )
    raise CheckFailed(
        claim=-1,
        value=found,
        message="The parameters are not those that this module needs. The guide lists them with their shapes.",
        expected=wanted,
        got=found or "no parameters",
    )
