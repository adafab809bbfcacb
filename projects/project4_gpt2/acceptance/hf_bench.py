"""A folder in Hugging Face's format on the judge's side: made, taken apart, and computed with torch's own parts.

V = 11 = vocab_size, C = 12 = n_embd, H = 3 heads, L = 2 layers, T = 8 = block_size. Matrices are (in, out) here, but for
the two tables.
"""

import functools
import json

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

V, C, H, L, T = 11, 12, 3, 2, 8
CONFIG = {
    "model_type": "gpt2",
    "n_positions": T,
    "n_ctx": T,
    "vocab_size": V,
    "n_embd": C,
    "n_layer": L,
    "n_head": H,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-05,
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
}


def shapes():
    """Name -> shape of each tensor in the file, without the prefix."""
    result = {"wte.weight": (V, C), "wpe.weight": (T, C), "ln_f.weight": (C,), "ln_f.bias": (C,)}
    for i in range(L):
        for name, out in (("attn.c_attn", 3 * C), ("attn.c_proj", C), ("mlp.c_fc", 4 * C), ("mlp.c_proj", C)):
            result[f"h.{i}.{name}.weight"] = (4 * C if name == "mlp.c_proj" else C, out)
            result[f"h.{i}.{name}.bias"] = (out,)
        for name in ("ln_1", "ln_2"):
            result |= {f"h.{i}.{name}.weight": (C,), f"h.{i}.{name}.bias": (C,)}
    return result


def drawn(rng):
    """Random weights, gains and biases, large enough that each shows in the logits."""
    return {
        name: rng.normal(
            *shape, std=0.5 if len(shape) < 2 else shape[0 if "h." in name else 1] ** -0.5
        ).float()
        for name, shape in shapes().items()
    }


def folder(member, name, tensors, config=None, file="model.safetensors"):
    """Write it where the member's code runs; its path."""
    member.write(f"{name}/{file}", packed(tensors))
    member.write(f"{name}/config.json", json.dumps(config or CONFIG).encode())
    return member.path(name)


def packed(tensors):
    return safetensors.torch.save({n: t.contiguous() for n, t in tensors.items()}, metadata={"format": "pt"})


def with_prefix(tensors):
    return {f"transformer.{name}": tensor for name, tensor in tensors.items()}


def masks():
    """What files of old versions carry along."""
    mask = torch.ones(T, T).tril().view(1, 1, T, T)
    found = {f"h.{i}.attn.bias": mask.clone() for i in range(L)}
    return found | {f"h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(L)}


@functools.cache
def torchs_block():
    gelu = functools.partial(F.gelu, approximate="tanh")
    return nn.TransformerEncoderLayer(
        C, H, 4 * C, 0.0, gelu, 1e-5, batch_first=True, norm_first=True
    ).double()


PARTS = {
    "ln_1.": "norm1.",
    "ln_2.": "norm2.",
    "attn.c_attn.": "self_attn.in_proj_",
    "attn.c_proj.": "self_attn.out_proj.",
    "mlp.c_fc.": "linear1.",
    "mlp.c_proj.": "linear2.",
}


def logits(tensors, idx):
    """What these tensors of a file mean, in float64."""
    t = {name: tensor.double() for name, tensor in tensors.items()}
    x = t["wte.weight"][idx] + t["wpe.weight"][: idx.size(1)]
    hidden = torch.ones(idx.size(1), idx.size(1), dtype=torch.bool).triu(1)
    for i in range(L):
        state = {}
        for theirs, torchs in PARTS.items():
            state[f"{torchs}weight"] = t[f"h.{i}.{theirs}weight"].T
            state[f"{torchs}bias"] = t[f"h.{i}.{theirs}bias"]
        x = functional_call(torchs_block(), state, (x, hidden))
    return F.layer_norm(x, (C,), t["ln_f.weight"], t["ln_f.bias"], 1e-5) @ t["wte.weight"].T
