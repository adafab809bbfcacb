"""The other side of browser.py: the same GPT as ONNX, and onnxruntime-web from the npm registry.

    pip install onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0

exports it; these are large and nothing else needs them, so they are in no extra of the kit. The package of the registry
is fetched once into build/, and taken only if its checksum is right.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import tarfile
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NEEDED = {"onnx": "1.23.2", "onnxscript": "0.7.2", "onnxruntime": "1.32.0"}
VERSION = "1.30.0"
ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
SCRIPTS = (
    "ort.wasm.min.js",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)  # what a page fetches
HOME = Path(__file__).resolve().parent.parent / "build"


def missing() -> list[str]:
    """What has to be installed before this can export a model."""
    return [
        f"{name}=={version}" for name, version in NEEDED.items() if importlib.util.find_spec(name) is None
    ]


def put_scripts(folder: Path) -> None:
    """The files of onnxruntime-web that a page needs, into `folder`."""
    archive = HOME / Path(ADDRESS).name
    if not archive.exists():
        HOME.mkdir(exist_ok=True)
        print(f"fetching {ADDRESS} (33 MB)")
        with urllib.request.urlopen(ADDRESS, timeout=120) as answer:
            archive.write_bytes(answer.read())
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{archive} is not what the registry had: remove it, and start again.")
    with tarfile.open(archive) as package:
        for name in SCRIPTS:
            file = package.extractfile(f"package/dist/{name}")
            assert file is not None
            (folder / name).write_bytes(file.read())


class Cached(nn.Module):
    """The kit's GPT as one graph with its keys and values going in and out: what a page needs for ONNX.

    B batch, T new tokens, S tokens before them, C = d_model, H heads, D = C / H. Only GPT-2's switches.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """ids (B, T), past (L, 2, B, H, S, D) -> logits behind the last (B, V), (L, 2, B, H, S + T, D)"""
        model, (H, S, D), T = self.model, past.shape[3:], ids.size(1)
        position = torch.arange(S, S + T)
        hidden = torch.arange(S + T)[None] > position[:, None]  # (T, S + T): what comes later
        x = model.wte(ids) + model.wpe(position)
        kept = []
        for layer, block in enumerate(model.h):
            y = F.linear(block.ln_1(x), block.attn.c_attn.weight, block.attn.c_attn.bias)
            q, k, v = (part.unflatten(-1, (H, D)).transpose(1, 2) for part in y.chunk(3, -1))  # (B, H, T, D)
            k, v = torch.cat([past[layer, 0], k], 2), torch.cat([past[layer, 1], v], 2)  # (B, H, S + T, D)
            kept.append(torch.stack([k, v]))
            scores = (q @ k.transpose(2, 3) * D**-0.5).masked_fill(hidden, -1e30)  # (B, H, T, S + T)
            y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
            x = x + F.linear(y, block.attn.c_proj.weight, block.attn.c_proj.bias)
            y = F.linear(block.ln_2(x), block.mlp.c_fc.weight, block.mlp.c_fc.bias)
            x = x + F.linear(F.gelu(y, approximate="tanh"), block.mlp.c_proj.weight, block.mlp.c_proj.bias)
        return F.linear(model.ln_f(x[:, -1]), model.wte.weight), torch.stack(kept)


def export(model: Any, folder: Path) -> None:
    """float32.onnx, and int8.onnx as onnxruntime makes it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.disable(logging.WARNING)
    shape = model.shape
    past = torch.zeros(shape.n_layers, 2, 1, shape.n_heads, 3, shape.d_model // shape.n_heads)
    given, tokens, before = (torch.tensor([[1, 2]]), past), torch.export.Dim("T"), torch.export.Dim("S")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Cached(model).eval(), given, folder / "float32.onnx", dynamo=True, external_data=False, verbose=False,
            input_names=["ids", "past"], output_names=["logits", "kept"],
            dynamic_shapes=({1: tokens}, {4: before}),
        )  # fmt: skip
        quantize_dynamic(folder / "float32.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8)
    logging.disable(logging.NOTSET)
