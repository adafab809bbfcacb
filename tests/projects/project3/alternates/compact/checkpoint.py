"""A checkpoint, short: 32 bytes of SHA-256, then a safetensors file with JSON in its metadata."""

import json
import os
import random
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save


def random_state():
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [kind, keys.tolist(), *rest],
        "torch": torch.get_rng_state().tolist(),
    }


def restore_random_state(state):
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))


def save_checkpoint(path, *, model, optimizer, step, rng, config, data_state):
    tensors, same, first = {}, {}, {}
    for name, value in model.state_dict().items():
        original = first.setdefault((value.data_ptr(), value.shape) if value.numel() else name, name)
        if original == name:
            tensors[f"m.{name}"] = value.contiguous()
        else:
            same[name] = original
    state = optimizer.state_dict()
    plain = {}
    for number, values in state["state"].items():
        for key, value in values.items():
            if torch.is_tensor(value):
                tensors[f"o.{number}.{key}"] = value.contiguous().clone()
            else:
                plain[f"{number}.{key}"] = value
    notes = {"same": same, "plain": plain, "groups": state["param_groups"]}
    notes |= {"step": step, "rng": rng, "config": config, "data_state": data_state}
    data = save(tensors, {"notes": json.dumps(notes)})
    partial = Path(f"{path}.partial")
    with open(partial, "wb") as file:
        file.write(sha256(data).digest() + data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_checkpoint(path, *, model, optimizer=None):
    raw = Path(path).read_bytes()
    digest, data = raw[:32], raw[32:]
    if sha256(data).digest() != digest:
        raise ValueError(f"{path}: the checksum is wrong")
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        notes = json.loads(header["__metadata__"]["notes"])
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path}: {error}") from error
    weights = {name[2:]: value for name, value in tensors.items() if name.startswith("m.")}
    weights |= {name: weights[original] for name, original in notes["same"].items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error
    if optimizer is not None:
        state = {}
        for name, value in tensors.items():
            if name.startswith("o."):
                _, number, key = name.split(".", 2)
                state.setdefault(int(number), {})[key] = value
        for name, value in notes["plain"].items():
            number, key = name.split(".", 1)
            state.setdefault(int(number), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": notes["groups"]})
    return {key: notes[key] for key in ("step", "rng", "config", "data_state")}
