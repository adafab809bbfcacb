"""A checkpoint with safetensors' own reader and writer, and torch's flattening of nested dicts."""

import hashlib
import json
import os
import random
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.utils import _pytree as pytree


def random_state():
    state = np.random.get_state(legacy=False)
    state["state"]["key"] = torch.from_numpy(state["state"]["key"].astype("int64"))
    version, words, gauss = random.getstate()
    python = [version, torch.tensor(words), gauss]
    return {"python": python, "numpy": state, "torch": torch.get_rng_state()}


def restore_random_state(state):
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    numpy_state = dict(state["numpy"], state=dict(state["numpy"]["state"]))
    numpy_state["state"]["key"] = numpy_state["state"]["key"].numpy().astype("uint32")
    np.random.set_state(numpy_state)
    torch.set_rng_state(state["torch"])


def digest_of(tensors, notes):
    found = hashlib.sha512(notes.encode())
    for name in sorted(tensors):
        value = tensors[name]
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def save_checkpoint(path, *, model, optimizer, step, rng, config, data_state):
    state = {"model": dict(model.state_dict()), "optimizer": optimizer.state_dict(), "rng": rng}
    leaves, spec = pytree.tree_flatten(state)
    tensors, notes, places = {}, [], {}
    for number, leaf in enumerate(leaves):
        if not isinstance(leaf, torch.Tensor):
            notes.append({"value": leaf})
            continue
        place = (leaf.data_ptr(), leaf.dtype, leaf.shape, leaf.stride()) if leaf.numel() else number
        name = places.setdefault(place, str(number))
        if name == str(number):
            tensors[name] = leaf.detach().cpu().contiguous()
        notes.append({"tensor": name})
    words = {"spec": pytree.treespec_dumps(spec), "leaves": notes, "step": step}
    words |= {"config": config, "data_state": data_state}
    text = json.dumps(words)
    partial = Path(path).with_suffix(".partial")
    save_file(tensors, partial, metadata={"text": text, "digest": digest_of(tensors, text)})
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def load_checkpoint(path, *, model, optimizer=None):
    if not os.path.exists(path):
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    text = metadata.get("text", "")
    if set(metadata) != {"text", "digest"} or digest_of(tensors, text) != metadata["digest"]:
        raise ValueError(f"{path} was damaged")
    words = json.loads(text)
    leaves = [tensors[leaf["tensor"]] if "tensor" in leaf else leaf["value"] for leaf in words["leaves"]]
    state = pytree.tree_unflatten(leaves, pytree.treespec_loads(words["spec"]))
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise ValueError(f"{path} belongs to another model: {error}") from None
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    return {
        "step": words["step"],
        "rng": state["rng"],
        "config": words["config"],
        "data_state": words["data_state"],
    }
