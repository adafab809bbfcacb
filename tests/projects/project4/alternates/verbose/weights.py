"""Steps load and export, one tensor after the other. The safetensors format is read by hand: it is simple."""

from __future__ import annotations

import json
import os
import pathlib
import struct

import torch
from gpt import GPT, GPTConfig
from safetensors.torch import save_file

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool}


def read_file(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    tensors = {}
    for name in header:
        if name == "__metadata__":
            continue
        entry = header[name]
        begin, end = entry["data_offsets"]
        raw = torch.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = raw.reshape(entry["shape"])
    return tensors


def without_prefix(name):
    if name.startswith("transformer."):
        return name[12:]
    return name


def is_a_mask(name):
    parts = name.split(".")
    if len(parts) != 4:
        return False
    return parts[0] == "h" and parts[2] == "attn" and parts[3] in ("bias", "masked_bias")


def read_folder(folder):
    index = os.path.join(folder, "model.safetensors.index.json")
    if os.path.exists(index):
        with open(index) as file:
            where = json.load(file)["weight_map"]
        opened = {}
        stored = {}
        for name in where:
            if where[name] not in opened:
                opened[where[name]] = read_file(os.path.join(folder, where[name]))
            stored[name] = opened[where[name]][name]
    else:
        stored = read_file(os.path.join(folder, "model.safetensors"))
    tensors = {}
    for name in stored:
        short = without_prefix(name)
        if is_a_mask(short):
            continue
        if short == "lm_head.weight":
            continue
        tensors[short] = stored[name]
    return tensors


def check_config(config):
    activation = config.get("activation_function", "gelu_new")
    if activation != "gelu_new" and activation != "gelu_pytorch_tanh":
        raise ValueError("activation_function is " + activation)
    if config.get("layer_norm_epsilon", 1e-5) != 1e-5:
        raise ValueError("layer_norm_epsilon is " + str(config["layer_norm_epsilon"]))
    inner = config.get("n_inner")
    if inner is not None and inner != 4 * config["n_embd"]:
        raise ValueError("n_inner is " + str(inner))
    if not config.get("scale_attn_weights", True):
        raise ValueError("scale_attn_weights is false")
    if config.get("scale_attn_by_inverse_layer_idx", False):
        raise ValueError("scale_attn_by_inverse_layer_idx is true")
    if not config.get("tie_word_embeddings", True):
        raise ValueError("tie_word_embeddings is false")


def take(tensors, name, shape):
    if name not in tensors:
        raise ValueError("the tensor " + name + " is missing")
    tensor = tensors.pop(name)
    if tuple(tensor.shape) != tuple(shape):
        raise ValueError("the tensor " + name + " has the shape " + str(tuple(tensor.shape)))
    return tensor


def put(parameter, values):
    with torch.no_grad():
        parameter.copy_(values)


def take_linear(tensors, name, linear):
    outputs, inputs = linear.weight.shape
    put(linear.weight, take(tensors, name + ".weight", (inputs, outputs)).t())
    put(linear.bias, take(tensors, name + ".bias", (outputs,)))


def take_norm(tensors, name, norm):
    put(norm.gain, take(tensors, name + ".weight", norm.gain.shape))
    put(norm.shift, take(tensors, name + ".bias", norm.shift.shape))


def take_attention(tensors, name, attention):
    width = attention.query.weight.shape[0]
    weight = take(tensors, name + ".c_attn.weight", (width, 3 * width))
    bias = take(tensors, name + ".c_attn.bias", (3 * width,))
    number = 0
    for part in (attention.query, attention.key, attention.value):
        put(part.weight, weight[:, number * width : (number + 1) * width].t())
        put(part.bias, bias[number * width : (number + 1) * width])
        number += 1
    take_linear(tensors, name + ".c_proj", attention.out)


def from_hf(source):
    folder = str(source)
    if not os.path.isdir(folder):
        import huggingface_hub

        folder = huggingface_hub.snapshot_download(folder, allow_patterns=["config.json", "*.safetensors", "*.index.json"])
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    check_config(config)
    tensors = read_folder(folder)
    shape = GPTConfig(
        block_size=config["n_positions"],
        vocab_size=config["vocab_size"],
        n_layer=config["n_layer"],
        n_head=config["n_head"],
        n_embd=config["n_embd"],
    )
    model = GPT(shape)
    put(model.token_embedding.weight, take(tensors, "wte.weight", model.token_embedding.weight.shape))
    put(model.position_embedding.weight, take(tensors, "wpe.weight", model.position_embedding.weight.shape))
    for i in range(shape.n_layer):
        layer = model.layers[i]
        name = "h." + str(i)
        take_norm(tensors, name + ".ln_1", layer.attn_norm)
        take_attention(tensors, name + ".attn", layer.attention)
        take_norm(tensors, name + ".ln_2", layer.mlp_norm)
        take_linear(tensors, name + ".mlp.c_fc", layer.feed_forward.expand)
        take_linear(tensors, name + ".mlp.c_proj", layer.feed_forward.down)
    take_norm(tensors, "ln_f", model.final_norm)
    for name in tensors:
        raise ValueError("the tensor " + name + " is left over")
    model.eval()
    return model


def values_of(parameter, length):
    if parameter is None:
        return torch.zeros(length)
    return parameter.detach().cpu().clone()


def give_linear(tensors, name, linear):
    tensors[name + ".weight"] = linear.weight.detach().cpu().t().contiguous()
    tensors[name + ".bias"] = values_of(linear.bias, linear.weight.shape[0])


def give_norm(tensors, name, norm):
    tensors[name + ".weight"] = norm.gain.detach().cpu().clone()
    tensors[name + ".bias"] = values_of(norm.shift, norm.gain.shape[0])


def to_hf(model, out_dir, tokenizer=None):
    folder = pathlib.Path(out_dir)
    os.makedirs(folder, exist_ok=True)
    tensors = {}
    tensors["wte.weight"] = model.token_embedding.weight.detach().cpu().clone()
    tensors["wpe.weight"] = model.position_embedding.weight.detach().cpu().clone()
    for i in range(model.config.n_layer):
        layer = model.layers[i]
        name = "h." + str(i)
        give_norm(tensors, name + ".ln_1", layer.attn_norm)
        parts = {}
        for part in ("query", "key", "value"):
            give_linear(parts, part, getattr(layer.attention, part))
        for kind in (".weight", ".bias"):
            in_three = [parts["query" + kind], parts["key" + kind], parts["value" + kind]]
            tensors[name + ".attn.c_attn" + kind] = torch.cat(in_three, dim=-1)
        give_linear(tensors, name + ".attn.c_proj", layer.attention.out)
        give_norm(tensors, name + ".ln_2", layer.mlp_norm)
        give_linear(tensors, name + ".mlp.c_fc", layer.feed_forward.expand)
        give_linear(tensors, name + ".mlp.c_proj", layer.feed_forward.down)
    give_norm(tensors, "ln_f", model.final_norm)
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = {}
    config["model_type"] = "gpt2"
    config["architectures"] = ["GPT2LMHeadModel"]
    config["activation_function"] = "gelu_pytorch_tanh"
    config["layer_norm_epsilon"] = 0.00001
    config["n_inner"] = 4 * model.config.n_embd
    config["n_positions"] = model.config.block_size
    for name in ("vocab_size", "n_layer", "n_head", "n_embd"):
        config[name] = getattr(model.config, name)
    if tokenizer is None:
        config["eos_token_id"] = None
        config["bos_token_id"] = None
    else:
        config["eos_token_id"] = tokenizer.eos_id
        config["bos_token_id"] = tokenizer.eos_id
        tokenizer.save(folder)
    with open(folder / "config.json", "w") as file:
        json.dump(config, file, indent=2)
    return folder
