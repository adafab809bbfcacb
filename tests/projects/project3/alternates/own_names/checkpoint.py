"""A run in a sealed file: NumPy's own format for arrays, inside a zip, with a page of JSON."""

import io
import json
import random
import zipfile

import numpy as np
import torch
from safe_files import get_file, put_file


class Luggage:
    """Packs nested values. Arrays go into a drawer, once for each place in memory."""

    def __init__(self):
        self.drawer, self.where = [], {}

    def pack(self, thing):
        if torch.is_tensor(thing):
            spot = f"{thing.data_ptr()} {thing.shape} {thing.stride()} {thing.dtype}"
            if thing.numel() == 0 or spot not in self.where:
                self.where[spot] = len(self.drawer)
                flat = thing.detach().cpu().clone(memory_format=torch.contiguous_format).reshape(-1)
                self.drawer.append(flat.view(torch.uint8).numpy())
            kind = str(thing.dtype).split(".")[1]
            return ["tensor", self.where[spot], kind, list(thing.shape)]
        if isinstance(thing, dict):
            return ["dict", [[self.pack(k), self.pack(v)] for k, v in thing.items()]]
        if isinstance(thing, (list, tuple)):
            return [type(thing).__name__, [self.pack(one) for one in thing]]
        return ["plain", thing]


def unpack(thing, drawer):
    kind, *rest = thing
    if kind == "tensor":
        number, dtype, shape = rest
        raw = torch.from_numpy(drawer[number].copy())
        return raw.view(getattr(torch, dtype)).reshape(shape) if len(raw) else torch.empty(shape)
    if kind == "dict":
        return {unpack(k, drawer): unpack(v, drawer) for k, v in rest[0]}
    if kind in ("list", "tuple"):
        items = [unpack(one, drawer) for one in rest[0]]
        return tuple(items) if kind == "tuple" else items
    return rest[0]


def random_state():
    name, words, place, paired, second = np.random.get_state()
    dice = {"py": random.getstate(), "np": (name, [int(w) for w in words], int(place), paired, second)}
    return dice | {"torch": torch.get_rng_state()}


def restore_random_state(state):
    random.setstate(state["py"])
    name, words, place, paired, second = state["np"]
    np.random.set_state((name, np.asarray(words, np.uint32), place, paired, second))
    torch.set_rng_state(state["torch"])


def save_checkpoint(path, *, model, optimizer, step, rng, config, data_state):
    luggage = Luggage()
    page = luggage.pack(
        {
            "network": dict(model.state_dict()),
            "stepper": optimizer.state_dict(),
            "notes": {"step": step, "rng": rng, "config": config, "data_state": data_state},
        }
    )
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("page.json", json.dumps(page))
        for number, array in enumerate(luggage.drawer):
            inner = io.BytesIO()
            np.save(inner, array, allow_pickle=False)
            archive.writestr(f"{number}.npy", inner.getvalue())
    put_file(path, box.getvalue())


def load_checkpoint(path, *, model, optimizer=None):
    with zipfile.ZipFile(io.BytesIO(get_file(path))) as archive:
        page = json.loads(archive.read("page.json"))
        count = len(archive.namelist()) - 1
        drawer = [np.load(io.BytesIO(archive.read(f"{n}.npy")), allow_pickle=False) for n in range(count)]
    everything = unpack(page, drawer)
    mine, theirs = model.state_dict(), everything["network"]
    for name in mine.keys() | theirs.keys():
        if name not in mine or name not in theirs or mine[name].shape != theirs[name].shape:
            raise ValueError(f"{path} does not fit: {name}")
    model.load_state_dict(theirs)
    if optimizer is not None:
        optimizer.load_state_dict(everything["stepper"])
    return everything["notes"]
