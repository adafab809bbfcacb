"""Weights reach the right parameter, the right way round, whatever the author called it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cohort_cli.checking.judge.expect import CheckFailed
from cohort_cli.checking.judge.weights import canonical, layouts


def only(info: dict[str, dict[str, Any]], values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The one way to place these."""
    (way,) = layouts(info, values)
    return way


def entry(*shape: int, owner: str = "Own", same_as: str | None = None) -> dict[str, Any]:
    return {"shape": list(shape), "owner": owner, "same_as": same_as}


def matrix(*shape: int) -> Tensor:
    return torch.randn(*shape)


def test_a_linear_layer_keeps_its_layout_even_when_square() -> None:
    value = matrix(6, 6)
    assert only({"out.weight": entry(6, 6, owner="Linear")}, {"c_proj.weight": value})["out.weight"] is value


def test_a_bare_matrix_of_the_transposed_shape_gets_the_transpose() -> None:
    value = matrix(18, 6)
    placed = only({"wqkv": entry(6, 18)}, {"c_attn.weight": value})
    assert torch.equal(placed["wqkv"], value.T)


@pytest.mark.parametrize(("shape", "turned"), [((6, 18), True), ((18, 6), False)])
def test_a_square_matrix_goes_the_way_of_its_siblings(shape: tuple[int, int], turned: bool) -> None:
    """x @ W beside x @ W, F.linear(x, W) beside F.linear(x, W)."""
    values = {"c_attn.weight": matrix(18, 6), "c_proj.weight": matrix(6, 6)}
    placed = only({"wqkv": entry(*shape), "wo": entry(6, 6)}, values)
    want = values["c_proj.weight"]
    assert torch.equal(placed["wo"], want.T if turned else want)


def test_a_square_matrix_alone_is_tried_both_ways() -> None:
    value = matrix(6, 6)
    ways = layouts({"wo": entry(6, 6)}, {"c_proj.weight": value})
    assert [torch.equal(way["wo"], value.T) for way in ways] == [True, False]


def test_a_gain_starts_with_ones_and_an_offset_with_zeros() -> None:
    info = {"first": {**entry(6), "zeros": True}, "second": {**entry(6), "ones": True}}
    placed = only(info, {"weight": torch.full((6,), 2.0), "bias": torch.full((6,), 3.0)})
    assert (placed["first"][0], placed["second"][0]) == (3, 2)


def test_words_in_a_name_tell_what_it_is() -> None:
    info = {f"to{name}.weight": entry(4, 6, owner="Linear") for name in ("keys", "queries", "values")}
    values = {f"{name}.weight": matrix(4, 6) for name in ("query", "key", "value")}
    placed = only(info, values)
    assert torch.equal(placed["tokeys.weight"], values["key.weight"])
    assert torch.equal(placed["tovalues.weight"], values["value.weight"])


def test_names_that_tell_nothing_are_tried_in_every_way_the_same_for_each_layer() -> None:
    info = {f"things.{n}.{name}": entry(4, 6, owner="Linear") for n in range(2) for name in ("p", "q2", "r")}
    values = {
        f"heads.{n}.{name}.weight": matrix(4, 6) for n in range(2) for name in ("query", "key", "value")
    }
    ways = layouts(info, values)
    assert len(ways) == 6
    for way in ways:
        first, second = (
            [
                next(role for role, value in values.items() if value is way[f"things.{n}.{name}"])
                for name in "pr"
            ]
            for n in range(2)
        )
        assert [name.replace("heads.0", "heads.1") for name in first] == second


def test_a_table_may_have_a_batch_dimension_of_one() -> None:
    value = matrix(8, 6)
    assert torch.equal(only({"pos": entry(1, 8, 6)}, {"wpe.weight": value})["pos"], value[None])


@pytest.mark.parametrize("name", ["pos_emb", "tok_emb", "table", "emb.wpe"])
@pytest.mark.parametrize("shape", [(8, 6), (6, 6)])
def test_a_bare_table_of_rows_is_never_turned(name: str, shape: tuple[int, int]) -> None:
    key = "wte.weight" if name == "tok_emb" else "wpe.weight"
    value = matrix(*shape)
    assert torch.equal(only({name: entry(*shape)}, {key: value})[name], value)


def test_c_attn_is_cut_for_three_separate_projections() -> None:
    value = matrix(18, 6)
    info = {f"{name}.weight": entry(6, 6, owner="Linear") for name in ("q_proj", "k_proj", "v_proj")}
    placed = only(info, {"c_attn.weight": value})
    assert torch.equal(torch.cat([placed[name] for name in info]), value)


def test_a_tied_parameter_needs_one_value() -> None:
    info = {"tok.weight": entry(9, 6, owner="Embedding"), "head.weight": entry(9, 6, same_as="tok.weight")}
    assert list(only(info, {"wte.weight": matrix(9, 6)})) == ["tok.weight"]


def test_what_has_no_place_is_refused_with_both_lists() -> None:
    with pytest.raises(CheckFailed) as refused:
        only({"gain": entry(6), "extra": entry(5)}, {"weight": torch.ones(6)})
    assert refused.value.expected == "weight (6,)"
    assert refused.value.got == "gain (6,), extra (5,)"


def test_names_of_parts_are_compared_without_case_and_wrappers() -> None:
    names = ["transformer.blocks.0.attention.Wq.weight", "h.0.attn.query.weight", "h.0.attn.wq"]
    assert {canonical(name) for name in names} == {"h.0.attn.query.weight"}
