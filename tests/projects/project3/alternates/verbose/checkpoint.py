"""A checkpoint in a format of its own: a line of JSON, then raw bytes, then a checksum in hexadecimal."""

import hashlib
import json
import os
import pathlib
import random

import numpy
import torch


def random_state():
    python_version, python_words, python_gauss = random.getstate()
    numpy_state = numpy.random.get_state(legacy=False)
    return {
        "python": {"version": python_version, "words": list(python_words), "gauss": python_gauss},
        "numpy": {
            "key": [int(word) for word in numpy_state["state"]["key"]],
            "pos": int(numpy_state["state"]["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "torch": bytes(torch.random.get_rng_state().numpy()).hex(),
    }


def restore_random_state(state):
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    saved = state["numpy"]
    numpy.random.set_state(
        {
            "bit_generator": "MT19937",
            "state": {"key": numpy.array(saved["key"], dtype=numpy.uint32), "pos": saved["pos"]},
            "has_gauss": saved["has_gauss"],
            "gauss": saved["gauss"],
        }
    )
    raw = bytearray(bytes.fromhex(state["torch"]))
    torch.random.set_rng_state(torch.frombuffer(raw, dtype=torch.uint8))


class Shelf:
    """All tensors one after another, as bytes."""

    def __init__(self):
        self.content = bytearray()
        self.known = {}

    def put(self, tensor):
        tensor = tensor.detach().cpu()
        where = (
            tensor.untyped_storage().data_ptr(),
            tensor.storage_offset(),
            tuple(tensor.shape),
            tensor.stride(),
        )
        if tensor.numel() == 0 or where not in self.known:
            raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            self.known[where] = {
                "start": len(self.content),
                "length": len(raw),
                "dtype": str(tensor.dtype).replace("torch.", ""),
                "shape": list(tensor.shape),
            }
            self.content += raw
        return self.known[where]


def take(content, label):
    raw = bytearray(content[label["start"] : label["start"] + label["length"]])
    dtype = getattr(torch, label["dtype"])
    if not raw:
        return torch.empty(label["shape"], dtype=dtype)
    return torch.frombuffer(raw, dtype=dtype).reshape(label["shape"]).clone()


def save_checkpoint(path, *, model, optimizer, step, rng, config, data_state):
    shelf = Shelf()
    description = {"step": step, "rng": rng, "config": config, "data_state": data_state}
    description["model"] = {name: shelf.put(value) for name, value in model.state_dict().items()}
    optimizer_state = optimizer.state_dict()
    description["groups"] = optimizer_state["param_groups"]
    description["moments"] = []
    for index, values in optimizer_state["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                description["moments"].append([index, name, "tensor", shelf.put(value)])
            else:
                description["moments"].append([index, name, "number", value])
    first_line = json.dumps(description).encode("utf-8") + b"\n"
    everything = first_line + bytes(shelf.content)
    checksum = hashlib.blake2b(everything).hexdigest().encode("ascii")
    final_path = pathlib.Path(path)
    other_path = final_path.parent / ("." + final_path.name + ".part")
    descriptor = os.open(other_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for start in range(0, len(everything), 10_000):
            file.write(everything[start : start + 10_000])
        file.write(checksum)
        os.fsync(file.fileno())
    os.replace(str(other_path), str(final_path))


def load_checkpoint(path, *, model, optimizer=None):
    with open(path, "rb") as file:
        whole = file.read()
    everything, checksum = whole[:-128], whole[-128:]
    if hashlib.blake2b(everything).hexdigest().encode("ascii") != checksum:
        raise ValueError(f"The file {path} is not what was saved.")
    end_of_line = everything.index(b"\n")
    description = json.loads(everything[:end_of_line].decode("utf-8"))
    content = everything[end_of_line + 1 :]
    wanted = model.state_dict()
    if list(wanted) != list(description["model"]):
        raise ValueError(f"The file {path} has other tensors than the model.")
    for name, label in description["model"].items():
        if list(wanted[name].shape) != label["shape"]:
            raise ValueError(f"In {path} the tensor {name} has the shape {label['shape']}.")
    with torch.no_grad():
        for name, label in description["model"].items():
            wanted[name].copy_(take(content, label))
    if optimizer is not None:
        moments = {}
        for index, name, kind, value in description["moments"]:
            moments.setdefault(index, {})[name] = take(content, value) if kind == "tensor" else value
        optimizer.load_state_dict({"state": moments, "param_groups": description["groups"]})
    return {
        "step": description["step"],
        "rng": description["rng"],
        "config": description["config"],
        "data_state": description["data_state"],
    }
