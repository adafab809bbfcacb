"""GPT-2's weights in Hugging Face's format: into our model, and out of it.    Steps: load, export

OpenAI wrote GPT-2 with "Conv1D" layers, which keep their matrices as (in, out), where nn.Linear has (out, in). So four
matrices of each block are the other way round. One of them is square: a forgotten transpose there is silent.

A folder in this format has config.json and either model.safetensors, or several safetensors files whose index,
model.safetensors.index.json, says which has what. safetensors only: a pickle can run any program when it is loaded.

Source: https://huggingface.co/openai-community/gpt2; https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from gpt import EPS, GPT, GPTConfig
from safetensors.torch import load_file, save_file
from tokens import GPT2Tokenizer
from torch import Tensor

TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
BUFFERS = (".attn.bias", ".attn.masked_bias")  # causal masks that old files carry along
PREFIX = "transformer."
TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")
FILES = ["config.json", "*.safetensors", "model.safetensors.index.json"]


def from_hf(source: str | Path) -> GPT:
    """The model of a folder, or of a name on the hub such as "openai-community/gpt2", in float32 and eval mode.

    Names in the file may begin with "transformer." or not, and old files carry causal masks along, h.N.attn.bias and
    h.N.attn.masked_bias, which are no weights. lm_head.weight, if there, is wte.weight once more.

    Raises ValueError that names the tensor (with or without "transformer.") for one that is missing, left over or of
    another shape, and ValueError that names the key of config.json for a kind of GPT-2 that our GPT would compute
    wrongly: activation_function, layer_norm_epsilon, n_inner, scale_attn_weights, scale_attn_by_inverse_layer_idx or
    tie_word_embeddings, where it is there and is not GPT-2's own. FileNotFoundError if the folder has no weights in
    safetensors.
    """
    folder = Path(source)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(str(source), allow_patterns=FILES))
    model = GPT(_config(folder / "config.json"))
    tensors = {
        _our_name(name): tensor for name, tensor in _read(folder).items() if not name.endswith(BUFFERS)
    }
    tensors.pop("lm_head.weight", None)  # the tied head: the same matrix as wte
    own = dict(model.named_parameters())
    if left_over := sorted(tensors.keys() - own.keys()):
        raise ValueError(f"{folder.name} has {left_over[0]}, which this GPT-2 does not have")
    if missing := sorted(own.keys() - tensors.keys()):
        raise ValueError(f"{folder.name} has no {missing[0]}")
    with torch.no_grad():
        for name in own:
            theirs = tensors[name].T if name.endswith(TRANSPOSED) else tensors[name]
            if theirs.shape != own[name].shape:
                raise ValueError(f"{name} has the shape {tuple(theirs.shape)}, not {tuple(own[name].shape)}")
            own[name].copy_(theirs)
    return model.eval()


def _config(path: Path) -> GPTConfig:
    theirs = json.loads(path.read_text(encoding="utf-8"))
    C = theirs["n_embd"]
    expected: dict[str, tuple[Any, ...]] = {
        "model_type": ("gpt2",),
        "activation_function": TANH_GELU,
        "layer_norm_epsilon": (EPS,),
        "n_inner": (None, 4 * C),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "tie_word_embeddings": (True,),
    }
    for key, values in expected.items():
        if theirs.get(key, values[0]) not in values:
            raise ValueError(f"{path.name}: {key} is {theirs[key]!r}; this GPT computes {values[0]!r}")
    return GPTConfig(theirs["n_positions"], theirs["vocab_size"], theirs["n_layer"], theirs["n_head"], C)


def _read(folder: Path) -> dict[str, Tensor]:
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return load_file(folder / "model.safetensors")
    files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return {name: tensor for file in sorted(files) for name, tensor in load_file(folder / file).items()}


def _our_name(name: str) -> str:
    return name.removeprefix(PREFIX)


def to_hf(model: GPT, out_dir: str | Path, tokenizer: GPT2Tokenizer | None = None) -> Path:
    """Write a folder that transformers' GPT2LMHeadModel.from_pretrained opens, with the same logits. Returns it.

    config.json: model_type "gpt2", and what differs from GPT2Config's own defaults, the five sizes above all;
    eos_token_id is the tokenizer's eos_id. model.safetensors: every tensor contiguous and laid out as from_hf finds it,
    the tied matrix once (as wte.weight), metadata {"format": "pt"}. And the tokenizer's files, if one is given. A model
    without biases gets biases of 0, since GPT2LMHeadModel always has them. The model itself stays as it is.
    """
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        value = parameter.detach().cpu()
        tensors[PREFIX + name] = (value.T if name.endswith(TRANSPOSED) else value).contiguous()
        if not model.config.bias and not name.startswith(("wte", "wpe")):
            tensors[PREFIX + name.replace("weight", "bias")] = torch.zeros(
                parameter.size(0), dtype=value.dtype
            )
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.config
    eos_id = None if tokenizer is None else tokenizer.eos_id
    table = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": TANH_GELU[0],
        "layer_norm_epsilon": EPS,
        "n_positions": config.block_size,
        "vocab_size": config.vocab_size,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.n_embd,
        "attn_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "tie_word_embeddings": True,
        "bos_token_id": eos_id,
        "eos_token_id": eos_id,
        "dtype": str(model.wte.weight.dtype).removeprefix("torch."),
    }
    (folder / "config.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(folder)
    return folder
