"""Where to write weights into a module whose author chose the names.

The guides name parameters as GPT-2 does (c_attn, c_proj, ln_1 …), but a correct module may call them otherwise, or
split c_attn into three. We look for each canonical name in this order:

    1. the very name        2. a known synonym, part by part (q_proj, to_q, wq … are all "query")
    3. the shape: parameters that are left over, in the order in which the module registered them

A matrix that does not belong to an nn.Linear may be used as x @ W. Its shape says so; for a square one, the shapes of
the other matrices of the same module say so, and when they are square too, x @ W is assumed.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from torch import Tensor

from cohort_cli.checking.judge.expect import CheckFailed

SYNONYMS = {
    "c_attn": "qkv qkv_proj in_proj to_qkv w_qkv wqkv c_qkv attn_in",
    "query": "q q_proj to_q wq w_q query_proj w_query lin_q proj_q",
    "key": "k k_proj to_k wk w_k key_proj w_key lin_k proj_k",
    "value": "v v_proj to_v wv w_v value_proj w_value lin_v proj_v",
    "c_proj": "proj o o_proj out_proj out to_out wo w_o output w_out dense lin_o proj_o fc2 down down_proj "
    "lin2 linear2 w2 fc_out",
    "c_fc": "fc fc1 up up_proj lin1 linear1 w1 fc_in expand",
    "ln_1": "ln1 norm1 norm_1 attn_norm norm_attn pre_attn_norm input_norm n1",
    "ln_2": "ln2 norm2 norm_2 mlp_norm ffn_norm norm_mlp norm_ffn post_attn_norm n2",
    "ln_f": "ln_final norm_f final_norm norm final_ln nf",
    "attn": "attention self_attn self_attention sa a mha",
    "mlp": "ffn ff feed_forward feedforward m ffwd",
    "wte": "tok_emb token_embedding tok_embedding token_emb embed tokens te token_embeddings",
    "wpe": "pos_emb position_embedding pos_embedding pe positions position_emb pos table position_embeddings",
    "h": "blocks layers block stack trunk",
    "heads": "head hs attn_heads",
    "lm_head": "unembed output_head decoder out_head",
    "weight": "gain scale gamma g w",
    "bias": "shift beta b",
}
CANONICAL = {alias: name for name, aliases in SYNONYMS.items() for alias in aliases.split()}


def layout(info: dict[str, dict[str, Any]], values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Member's parameter name -> value to write. `values`: canonical name -> tensor in nn.Linear's layout.

    Raises CheckFailed, which lists both sides, when something has no place or a parameter is left without a value.
    """
    free = {name: entry for name, entry in info.items() if entry["same_as"] is None}
    placed: dict[str, Tensor] = {}
    waiting: dict[str, Tensor] = {}
    for name, value in _split_where_needed(values, free).items():
        found = next((own for own in free if own == name), None)
        found = found or next((own for own in free if canonical(own) == canonical(name)), None)
        if found is None or not _fits(value, free[found]):
            waiting[name] = value
        else:
            placed[found] = value
            del free[found]
    for value in waiting.values():
        found = next((own for own in free if _fits(value, free[own])), None)
        if found is None:
            _refuse(info, values)
        placed[found] = value
        del free[found]
    if free:
        _refuse(info, values)
    linear_like = {
        name.rpartition(".")[0]
        for name, value in placed.items()
        if _is_bare_matrix(value, info[name])
        and value.shape[0] != value.shape[1]
        and _as_is(value, info[name])
    }
    return {
        name: value.T.contiguous() if _is_turned(name, value, info[name], linear_like) else value
        for name, value in placed.items()
    }


def canonical(name: str) -> str:
    """`transformer.blocks.0.attention.Wq.weight` and `h.0.attn.query.weight` are the same place."""
    parts = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", part).lower() for part in name.split(".")]
    parts = [
        CANONICAL.get(part, part) for part in parts if part not in ("transformer", "model", "net", "body")
    ]
    if parts[-1] not in ("weight", "bias"):  # a bare nn.Parameter: `wq`, `bq`, `w_o_bias`
        parts.append("weight")
    return ".".join(parts)


def _split_where_needed(values: dict[str, Tensor], info: dict[str, dict[str, Any]]) -> dict[str, Tensor]:
    """Cut c_attn into query, key and value where the module has no parameter that could hold it whole."""
    result: dict[str, Tensor] = {}
    own = {canonical(name) for name in info}
    for name, value in values.items():
        prefix, _, kind = canonical(name).rpartition("c_attn.")
        parts = [f"{prefix}{part}.{kind}" for part in ("query", "key", "value")]
        whole = any(_fits(value, entry) for entry in info.values())
        if (
            "c_attn." in canonical(name)
            and canonical(name) not in own
            and (own.issuperset(parts) or not whole)
        ):
            result |= dict(zip(parts, value.chunk(3), strict=True))
        else:
            result[name] = value
    return result


def _fits(value: Tensor, entry: dict[str, Any]) -> bool:
    turned = entry["owner"] != "Linear" and entry["shape"] == list(value.shape)[::-1]
    return _as_is(value, entry) or turned


def _is_turned(name: str, value: Tensor, entry: dict[str, Any], linear_like: set[str]) -> bool:
    """Whether the member's matrix is the transpose of ours. `linear_like`: modules whose bare matrices are not."""
    if not _is_bare_matrix(value, entry) or not _as_is(value, entry):
        return not _as_is(value, entry)
    square = value.shape[0] == value.shape[1]
    table = canonical(name).split(".")[-2:-1] in (["wte"], ["wpe"])
    return square and not table and name.rpartition(".")[0] not in linear_like


def _is_bare_matrix(value: Tensor, entry: dict[str, Any]) -> bool:
    return value.ndim == 2 and entry["owner"] not in ("Linear", "Embedding")


def _as_is(value: Tensor, entry: dict[str, Any]) -> bool:
    return bool(entry["shape"] == list(value.shape))


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
