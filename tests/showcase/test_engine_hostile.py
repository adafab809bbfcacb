"""A file that is not what it says is an Error with a message: no hang, no reading elsewhere, no wrong model."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from javascript import Page, page
from networks import in_float, in_int8, random_network

Header = dict[str, Any]
GOOD = in_int8(*random_network(layers=1))
LENGTH = struct.unpack("<Q", GOOD[:8])[0]
HEADER: Header = json.loads(GOOD[8 : 8 + LENGTH])
DATA = GOOD[8 + LENGTH :]
FC = "h.0.mlp.c_fc.weight"


@pytest.fixture(scope="module")
def here() -> Iterator[Page]:
    with page() as made:
        yield made


def packed(header: Any, data: bytes = DATA) -> bytes:
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def refusal(here: Page, data: bytes) -> str:
    """The message of the Error; an empty text if the file is taken."""
    here.bytes("file", data)
    said = here.run("tried(() => { globalThis.model = cohort.load(file); return ''; })")
    assert said == "" or said.startswith("Error: "), said
    return str(said).removeprefix("Error: ")


def test_the_whole_file_is_taken(here: Page) -> None:
    assert refusal(here, GOOD) == ""
    assert refusal(here, packed(HEADER)) == ""
    assert refusal(here, in_float(*random_network(layers=1))) == ""


FLAGS = {
    "vocab_size": ["0", "-5", "1e308", "1.5", "", " 53", "053", "99999999", 53, None, True, [], {}, "NaN"],
    "context": [
        "0",
        "-1",
        "1e308",
        "1048577",
        "1048576",
    ],  # the last one is allowed, and too much with the rest
    "n_layers": ["0", "2", "1000", "1001"],
    "n_heads": ["3", "0", "40"],
    "d_model": ["1e308", "24", "65537"],
    "d_ff": ["-36", "37"],
    "format": ["cohort.browser-model/2", None],
    "positions": ["alibi", "rope", "__proto__", 1],
    "norm": ["batchnorm", "toString", None],
    "activation": ["swiglu"],
    "qk_norm": [True, "maybe"],
    "bias": ["", "no"],
    "tied": [False, "no"],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in FLAGS.items() for value in values]
)
def test_a_wrong_flag(here: Page, key: str, value: Any) -> None:
    header = copy.deepcopy(HEADER)
    header["__metadata__"][key] = value
    assert refusal(here, packed(header))


def test_an_unknown_flag_is_refused_by_its_name(here: Page) -> None:
    for key in ("experts", "__proto__", "constructor"):
        header = copy.deepcopy(HEADER)
        header["__metadata__"][key] = "4"
        assert refusal(here, packed(header)) == f'this engine does not know the flag "{key}"'
    header = copy.deepcopy(HEADER)
    header["__metadata__"]["activation"] = "swiglu"
    assert refusal(here, packed(header)) == 'this engine knows no activation = "swiglu"'
    del header["__metadata__"]["activation"]
    assert refusal(here, packed(header)) == "the header lacks the flag activation"


def test_rotary_positions_need_pairs(here: Page) -> None:
    odd = in_int8(*random_network(d_model=18, positions="rope"))
    assert "a head has an odd size" in refusal(here, odd)


def entry(**changes: Any) -> Callable[[Header], Any]:
    return lambda header: header[FC].update(changes)


def shifted(header: Header) -> None:
    begin, end = header[FC]["data_offsets"]
    header[FC]["data_offsets"] = [begin - 1, end - 1]


CHANGES: dict[str, tuple[Callable[[Header], Any], str]] = {
    "missing": (lambda header: header.pop(FC), "is missing"),
    "no scale": (lambda header: header.pop(f"{FC}.scale"), "scale is not what"),
    "extra": (lambda header: header.update(more=header[FC]), "does not know the tensor"),
    "__proto__": (lambda header: header.update({"__proto__": header[FC]}), "does not know the tensor"),
    "no metadata": (lambda header: header.pop("__metadata__"), "nothing about the architecture"),
    "metadata is a list": (lambda header: header.update(__metadata__=[]), "nothing about the architecture"),
    "no table": (lambda header: header.update({FC: 7}), "is not what"),
    "null": (lambda header: header.update({FC: None}), "is not what"),
    "dtype": (entry(dtype="I64"), "is not what"),
    "float dtype": (entry(dtype="F32"), "is not what"),
    "shape": (entry(shape=[36, 21]), "is not what"),
    "negative shape": (entry(shape=[-36, -20]), "is not what"),
    "huge shape": (entry(shape=[1e308, 20]), "is not what"),
    "turned": (entry(shape=[20, 36]), "is not what"),
    "no shape": (entry(shape=None), "is not what"),
    "three sizes": (entry(shape=[36, 20, 1]), "is not what"),
    "texts": (entry(data_offsets=["0", "720"]), "is not what"),
    "negative offsets": (entry(data_offsets=[-720, 0]), "is not what"),
    "1e308": (entry(data_offsets=[0, 1e308]), "is not what"),
    "behind the end": (entry(data_offsets=[10**9, 10**9 + 720]), "is not what"),
    "half": (entry(data_offsets=[0.5, 720.5]), "is not what"),
    "backwards": (entry(data_offsets=[720, 0]), "is not what"),
    "three offsets": (entry(data_offsets=[0, 720, 1]), "is not what"),
    "overlap": (entry(data_offsets=[0, 720]), "overlap"),
    "shifted": (shifted, "overlap"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_wrong_tensor(here: Page, name: str) -> None:
    change, says = CHANGES[name]
    header = copy.deepcopy(HEADER)
    change(header)
    assert says in refusal(here, packed(header))


def test_files_that_are_none(here: Page) -> None:
    text = json.dumps(HEADER)
    for data, says in {
        b"": "no safetensors",
        b"PK\x03\x04": "no safetensors",
        struct.pack("<Q", 2**40): "too long",
        struct.pack("<Q", 2**63) + b"{}": "too long",
        struct.pack("<Q", 100) + b"{}": "too long",
        packed(json.dumps(HEADER) + " " * 2**20): "too long",
        packed("[]"): "no JSON object",
        packed("null"): "no JSON object",
        packed("{"): "no JSON",
        packed("[" * 200_000): "no JSON",
        packed('{"a": NaN}'): "no JSON",
        struct.pack("<Q", 2) + b"\xff\xff": "no JSON",
        packed(text, DATA[:-1]): "is not what",
        packed(text, DATA + b"\0"): "goes on behind",
        packed(text, b""): "is not what",
        GOOD[: len(GOOD) // 2]: "is not what",
    }.items():
        assert says in refusal(here, data)


def test_more_memory_than_a_page_has_is_refused_before_it_is_taken(here: Page) -> None:
    flags, tensors = random_network(layers=5, positions="rope")
    assert refusal(here, in_int8({**flags, "context": "10000"}, tensors)) == ""
    assert "bytes; 536870912 are allowed" in refusal(here, in_int8({**flags, "context": "1000000"}, tensors))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_of_the_header_is_an_error_or_harmless(here: Page, data: st.DataObject) -> None:
    """Bytes of the header are replaced. Then the file is refused, or it still gives one number per token."""
    broken = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, 8 + LENGTH - 1))] = data.draw(st.integers(0, 255))
    if refusal(here, bytes(broken)) == "":
        assert here.run("model.feed([1, 2, 3]).length") == 53


VALUES = [0, -1, 1, 7, 53, 2**31, 2**53, 1e308, -0.5, None, True, "", "a", [], {}, [0, 0], [1e9, 2e9], "__proto__",
          "I8", "F32", "yes", "no", "1", "53", "20", [53, 20], [20]]  # fmt: skip


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_of_the_table_is_an_error_or_harmless(here: Page, data: st.DataObject) -> None:
    """As above, but what is changed is still JSON, so more of the loader is reached."""
    header = copy.deepcopy(HEADER)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(header)))
        inner = header[name]
        if isinstance(inner, dict) and inner and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(sorted(inner)))
            changed = copy.deepcopy(inner[key])
            if isinstance(changed, list) and changed and data.draw(st.booleans()):
                changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.sampled_from(VALUES))
            else:
                changed = data.draw(st.sampled_from(VALUES))
            inner[key] = changed
        else:
            other = data.draw(st.sampled_from([name, f"{name}.scale", name[:-1], "__proto__", "x"]))
            header[other] = data.draw(st.sampled_from([inner, *VALUES]))
    if refusal(here, packed(header)) == "":
        assert here.run("model.feed([1, 2, 3]).length === model.shape.vocab_size")


def test_weights_that_are_no_numbers_do_no_harm(here: Page) -> None:
    assert refusal(here, packed(HEADER, b"\xff" * len(DATA))) == ""
    ids = here.run("Array.from(model.generate([1], { tokens: 40, temperature: 1 }), (step) => step.id)")
    assert len(ids) == 40
    assert all(0 <= id < 53 for id in ids)
