"""Frames and values: what is sent arrives, and nothing else is accepted."""

from __future__ import annotations

import random
import socket
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort_cli.checking import codec, tensors, wire

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


def round_trip(value: Any) -> Any:
    return codec.decode(*codec.encode(value))


@given(values)
@settings(max_examples=300)
def test_python_values_come_back_as_they_were(value: Any) -> None:
    assert repr(round_trip(value)) == repr(value)


@pytest.mark.parametrize("dtype", [tensors.dtype(name) for name in tensors.DTYPES], ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_tensors_come_back_as_they_were(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = (torch.randn(shape) * 3).to(dtype)
    back = round_trip([tensor, (tensor, 1)])
    assert back[0].dtype is dtype
    assert back[0].shape == tensor.shape
    assert torch.equal(back[1][0], tensor)


def test_a_transposed_view_and_a_parameter_arrive_as_plain_tensors() -> None:
    parameter = torch.nn.Parameter(torch.randn(3, 4))
    back = round_trip(parameter.T)
    assert type(back) is torch.Tensor
    assert not back.requires_grad
    assert torch.equal(back, parameter.detach().T)


def test_one_element_of_a_column_arrives_although_its_stride_is_the_rows() -> None:
    column = torch.arange(6)[None][:, -1]  # shape (1,), stride 6, and contiguous all the same
    assert round_trip(column).tolist() == [5]


@pytest.mark.parametrize("tensor", [torch.eye(2).to_sparse(), torch.empty(2, device="meta")])
def test_tensors_without_plain_bytes_are_refused_in_words(tensor: torch.Tensor) -> None:
    with pytest.raises(codec.Unsendable, match="tensor"):
        codec.encode(tensor)


def test_a_generator_travels_as_its_seed() -> None:
    generator = torch.Generator().manual_seed(5)
    assert torch.equal(torch.rand(3, generator=round_trip(generator)), torch.rand(3, generator=generator))


@pytest.mark.parametrize(
    "frame",
    [
        {
            "value": {"$": "tensor", "i": 0},
            "table": [{"dtype": "float64", "shape": [1 << 39]}],
            "data": b"1234",
        },
        {"value": {"$": "tensor", "i": 0}, "table": [{"dtype": "float64", "shape": [-1]}], "data": b""},
        {"value": {"$": "tensor", "i": 0}, "table": [{"dtype": "object", "shape": [1]}], "data": b"12345678"},
        {"value": {"$": "tensor", "i": 0}, "table": [{"dtype": "float64", "shape": [0] * 99}], "data": b""},
        {"value": {"$": "tensor", "i": 1}, "table": [], "data": b""},
        {"value": 1, "table": [], "data": b"left over"},
        {"value": {"$": "pickle", "v": "cos\nsystem"}, "table": [], "data": b""},
        {"value": {"$": "object", "v": 1, "type": "x"}, "table": [], "data": b""},
        {"value": {"$": "dict", "v": [[[], 1]]}, "table": [], "data": b""},
    ],
)
def test_a_lying_value_is_refused(frame: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError):
        codec.decode(frame["value"], frame["table"], frame["data"])


def test_a_bool_is_never_a_strange_byte() -> None:
    back = codec.decode({"$": "tensor", "i": 0}, [{"dtype": "bool", "shape": [3]}], b"\x00\x07\x01")
    assert back.tolist() == [False, True, True]
    assert back.view(torch.uint8).tolist() == [0, 1, 1]


def test_frames_cross_a_socket_and_the_end_is_noticed() -> None:
    left, right = (wire.Channel(end) for end in socket.socketpair())
    left.send({"n": 1}, b"x" * 1000)
    assert right.receive() == ({"n": 1}, b"x" * 1000)
    left.close()
    with pytest.raises(wire.Closed):
        right.receive()


@pytest.mark.parametrize(
    "raw",
    [
        wire.HEADER.pack(1 << 31, 0),
        wire.HEADER.pack(2, 1 << 50) + b"{}",
        wire.HEADER.pack(4, 0) + b"nope",
        wire.HEADER.pack(2, 0) + b"[]",
    ],
)
def test_a_bad_frame_is_a_wire_error(raw: bytes) -> None:
    left, right = socket.socketpair()
    left.sendall(raw)
    left.close()
    with pytest.raises(wire.WireError) as refused:
        wire.Channel(right).receive()
    assert not isinstance(refused.value, wire.Closed)


def test_json_that_is_nested_without_end_is_a_wire_error() -> None:
    with pytest.raises(wire.WireError, match="not JSON"):
        wire.parse(b"[" * 400_000)


def test_thousands_of_mutated_frames_raise_nothing_but_wire_errors() -> None:
    draw = random.Random(1)
    coded, table, data = codec.encode([torch.randn(2, 3), {"a": (1, 2.5, float("nan"))}, torch.arange(4)])
    frame = wire.pack({"id": 1, "value": coded, "tensors": table}, data)
    refused = 0
    for _ in range(20_000):
        mutated = bytearray(frame)
        for _ in range(draw.randint(1, 6)):
            mutated[draw.randrange(len(mutated))] = draw.randrange(256)
        try:
            n_text, n_bytes = wire.lengths(bytes(mutated[: wire.HEADER.size]))
            body = bytes(mutated[wire.HEADER.size :])
            message = wire.parse(body[:n_text])
            codec.decode(message.get("value"), message.get("tensors"), body[n_text : n_text + n_bytes])
        except wire.WireError:
            refused += 1
    assert 5_000 < refused < 20_000


@pytest.mark.parametrize(
    "value", [b"", bytes(range(256)), {b"a": 3}, {"x", "y"}, [(b"t", b"h")], "\ud800 alone"]
)
def test_bytes_and_sets_come_back_as_they_were(value: Any) -> None:
    coded, table, data = codec.encode(value)
    message = wire.parse(wire.pack({"value": coded})[wire.HEADER.size :])
    assert codec.decode(message["value"], table, data) == value


@pytest.mark.parametrize("text", ["!", "a", "ö", "YQ==YQ=="])
def test_bytes_that_are_not_base64_are_refused(text: str) -> None:
    with pytest.raises(wire.WireError):
        codec.decode({"$": "bytes", "v": text}, [], b"")


@pytest.mark.parametrize(
    "value",
    [
        {"$": "int", "v": "--5"},
        {"$": "int", "v": "²"},
        {"$": "int", "v": "9" * 5000},
        {"$": "generator", "v": 2**70},
        {"$": "path", "v": 3},
        {"$": "set", "v": [[1]]},
    ],
    ids=str,
)
def test_a_value_that_only_looks_right_is_a_wire_error(value: Any) -> None:
    with pytest.raises(wire.WireError):
        codec.decode(value, [], b"")


class Two(tuple[int, ...]):
    def __iter__(self) -> Any:
        return iter([7])


class Lying(dict[str, int]):
    def items(self) -> Any:
        return [("lie", 1)]


@pytest.mark.parametrize(("value", "plain"), [(Two((1, 2)), (1, 2)), (Lying(a=3), {"a": 3})])
def test_what_derives_from_a_plain_type_travels_as_what_it_holds(value: Any, plain: Any) -> None:
    assert codec.decode(*codec.encode(value)) == plain
