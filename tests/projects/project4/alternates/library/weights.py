"""Steps load and export by state_dict; the library's own errors become ValueErrors with their words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from gpt import GPT, GPTConfig
from safetensors import safe_open
from safetensors.torch import save_model

PARTS = [
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.attn\.c_attn\.", r".self_attn.in_proj_"),
    (r"\.attn\.c_proj\.", r".self_attn.out_proj."),
    (r"\.mlp\.c_fc\.", r".linear1."),
    (r"\.mlp\.c_proj\.", r".linear2."),
]
BACK = [
    (r"\.norm(\d)\.", r".ln_\1."),
    (r"\.self_attn\.in_proj_", r".attn.c_attn."),
    (r"\.self_attn\.out_proj\.", r".attn.c_proj."),
    (r"\.linear1\.", r".mlp.c_fc."),
    (r"\.linear2\.", r".mlp.c_proj."),
]
WANTED = {
    "activation_function": {"gelu_new", "gelu_pytorch_tanh"},
    "layer_norm_epsilon": {1e-5},
    "scale_attn_weights": {True},
    "scale_attn_by_inverse_layer_idx": {False},
    "tie_word_embeddings": {True},
}


def renamed(name, table):
    for pattern, replacement in table:
        name = re.sub(pattern, replacement, name)
    return name


def turned(name, tensor):
    return tensor.transpose(0, 1).contiguous() if re.search(r"\.(c_attn|c_proj|c_fc)\.weight$", name) else tensor


def find(source):
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(str(source), ignore_patterns=["*.bin", "*.h5", "*.msgpack", "*.onnx", "*.tflite"]))


def from_hf(source):
    folder = find(source)
    said = json.loads((folder / "config.json").read_bytes())
    wanted = WANTED | {"n_inner": {None, 4 * said["n_embd"]}}
    for key in wanted.keys() & said.keys():
        if said[key] not in wanted[key]:
            raise ValueError(f"{key} = {said[key]!r} is not supported")
    files = {folder / "model.safetensors"}
    if (index := folder / "model.safetensors.index.json").is_file():
        files = {folder / file for file in json.loads(index.read_bytes())["weight_map"].values()}
    state, theirs = {}, {}
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(file)
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():
                bare = re.sub(r"^transformer\.", "", name)
                if bare != "lm_head.weight" and not re.fullmatch(r"h\.\d+\.attn\.(masked_)?bias", bare):
                    ours = "transformer." + renamed(bare, PARTS)
                    state[ours], theirs[ours] = turned(bare, opened.get_tensor(name)), bare
    state["lm_head.weight"] = state.get("transformer.wte.weight", torch.empty(0))
    keys = dict(block_size="n_positions", vocab_size="vocab_size", n_layer="n_layer", n_head="n_head", n_embd="n_embd")
    model = GPT(GPTConfig(**{ours: said[theirs] for ours, theirs in keys.items()}))
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as problem:
        words = str(problem)
        for name in {*model.state_dict(), *state}:
            if name in words:
                words += f" [{theirs.get(name) or renamed(name.removeprefix('transformer.'), BACK)}]"
        raise ValueError(words) from None
    return model.requires_grad_(True).eval()


class Holder(torch.nn.Module):
    """Only to be saved by safetensors' save_model."""

    def __init__(self, tensors):
        super().__init__()
        self.tensors = tensors

    def state_dict(self, *args, **kwargs):
        return dict(self.tensors)


def to_hf(model, out_dir, tokenizer=None):
    folder = Path(out_dir)
    folder.mkdir(exist_ok=True, parents=True)
    tensors = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        name = renamed(name, BACK)
        tensors[name] = turned(name, value).clone()
        if not model.config.bias and ".w" not in name[: -len(".weight")]:
            tensors[name.removesuffix("weight") + "bias"] = value.new_zeros(value.shape[0])
    save_model(Holder(tensors), str(folder / "model.safetensors"), metadata={"format": "pt"})
    shape = model.config
    said = {
        "model_type": "gpt2",
        "n_positions": shape.block_size,
        "n_ctx": shape.block_size,
        **{name: getattr(shape, name) for name in ("vocab_size", "n_layer", "n_head", "n_embd")},
        **{key: min(values, key=str) for key, values in WANTED.items()},
    }
    if tokenizer is not None:
        said |= dict.fromkeys(("bos_token_id", "eos_token_id"), tokenizer.eos_id)
        tokenizer.save(folder)
    else:
        said |= dict.fromkeys(("bos_token_id", "eos_token_id"))
    with (folder / "config.json").open("w", encoding="utf-8") as file:
        json.dump(said, file)
    return folder
