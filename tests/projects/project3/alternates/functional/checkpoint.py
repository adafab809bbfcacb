"""A checkpoint as a pure function from values to bytes and back: JSON with base64, then compressed, with a CRC each."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import tempfile
import zlib
from functools import singledispatch
from pathlib import Path

import numpy as np
import torch

KEY = b"cohort checkpoint"


def random_state():
    return {
        "python": random.getstate(),
        "numpy": tuple(
            x if not isinstance(x, np.ndarray) else tuple(x.tolist()) for x in np.random.get_state()
        ),
        "torch": torch.default_generator.get_state(),
    }


def restore_random_state(state):
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.default_generator.set_state(state["torch"])


def coder():
    """A function that turns a value into JSON, and remembers the tensors that it met."""
    met = {}

    @singledispatch
    def code(value):
        return value

    @code.register
    def _(value: torch.Tensor):
        flat = value.detach().cpu().contiguous().view(-1).view(torch.uint8)
        text = base64.b85encode(flat.numpy().tobytes()).decode()
        spot = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride(), text)
        number = met.setdefault(spot, len(met))
        body = [] if number != len(met) - 1 or number in seen else [text]
        seen.add(number)
        return {"t": [number, str(value.dtype)[6:], list(value.shape), *body]}

    @code.register
    def _(value: dict):
        return {"d": [[code(k), code(v)] for k, v in value.items()]}

    @code.register
    def _(value: tuple):
        return {"u": [code(v) for v in value]}

    @code.register
    def _(value: list):
        return [code(v) for v in value]

    seen = set()
    return code


def decoder():
    made = {}

    def tensor(number, dtype, shape, *body):
        if body:
            raw = bytearray(base64.b85decode(body[0]))
            kind = getattr(torch, dtype)
            made[number] = (
                torch.frombuffer(raw, dtype=kind).view(shape) if raw else torch.empty(shape, dtype=kind)
            )
        return made[number]

    def decode(value):
        match value:
            case {"t": parts}:
                return tensor(*parts)
            case {"d": pairs}:
                return {decode(k): decode(v) for k, v in pairs}
            case {"u": items}:
                return tuple(decode(v) for v in items)
            case [*items]:
                return [decode(v) for v in items]
        return value

    return decode


def to_bytes(value):
    body = zlib.compress(json.dumps(coder()(value)).encode(), 1)
    return hmac.new(KEY, body, hashlib.sha256).digest() + body


def from_bytes(data):
    if not hmac.compare_digest(hmac.new(KEY, data[32:], hashlib.sha256).digest(), data[:32]):
        raise ValueError("the checksum differs")
    return decoder()(json.loads(zlib.decompress(data[32:])))


def save_checkpoint(path, *, model, optimizer, step, rng, config, data_state):
    state = dict(model=dict(model.state_dict()), optimizer=optimizer.state_dict(), step=step)
    data = to_bytes({**state, "rng": rng, "config": config, "data_state": data_state})
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.rename(name, path) if os.name != "nt" else os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(name)
        raise


def load_checkpoint(path, *, model, optimizer=None):
    try:
        state = from_bytes(Path(path).read_bytes())
        model.load_state_dict(state["model"], strict=True)
    except (ValueError, RuntimeError) as problem:
        raise ValueError(f"{Path(path).name} cannot be used: {problem}") from problem
    if optimizer:
        optimizer.load_state_dict(state["optimizer"])
    return {key: value for key, value in state.items() if key not in ("model", "optimizer")}
