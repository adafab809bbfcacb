"""In and out of Hugging Face's format; translate.py has the table of names."""

import json
import pathlib

import safetensors.torch
import torch
from gpt import GPT
from settings import GPTConfig
from translate import pairs

EXPECTED = (
    ("activation_function", "gelu_new", lambda v, c: v in ("gelu_new", "gelu_pytorch_tanh")),
    ("layer_norm_epsilon", 1e-5, lambda v, c: v == 1e-5),
    ("n_inner", None, lambda v, c: v is None or v == 4 * c["n_embd"]),
    ("scale_attn_weights", True, lambda v, c: v is True),
    ("scale_attn_by_inverse_layer_idx", False, lambda v, c: v is False),
    ("tie_word_embeddings", True, lambda v, c: v is True),
)


class Folder:
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def config(self):
        facts = json.loads(self.path.joinpath("config.json").read_text("utf-8"))
        for key, default, holds in EXPECTED:
            if not holds(facts.get(key, default), facts):
                raise ValueError(f"config.json has another {key}: {facts[key]}")
        return facts

    def files(self):
        table = self.path / "model.safetensors.index.json"
        if table.exists():
            return sorted(set(json.loads(table.read_text("utf-8"))["weight_map"].values()))
        return ["model.safetensors"]

    def tensors(self):
        everything = {}
        for file in self.files():
            everything.update(safetensors.torch.load(self.path.joinpath(file).read_bytes()))
        bare = {name.split("transformer.")[-1]: tensor for name, tensor in everything.items()}
        extra = {name for name in bare if name.split(".")[-2:] in (["attn", "bias"], ["attn", "masked_bias"])}
        return {name: tensor for name, tensor in bare.items() if name not in extra | {"lm_head.weight"}}


def located(source):
    if pathlib.Path(source).is_dir():
        return Folder(source)
    import huggingface_hub

    return Folder(huggingface_hub.snapshot_download(source, allow_patterns=["*.json", "*.safetensors"]))


def from_hf(source):
    folder = located(source)
    facts = folder.config()
    shape = [facts[key] for key in ("n_positions", "vocab_size", "n_layer", "n_head", "n_embd")]
    model, found = GPT(GPTConfig(*shape)), folder.tensors()
    for name, parameter, wanted in pairs(model):
        if name not in found:
            raise ValueError(f"{name} is not in the file")
        tensor = found.pop(name)
        if tuple(tensor.shape) != wanted:
            raise ValueError(f"{name} is {tuple(tensor.shape)} and must be {wanted}")
        parameter.data.copy_(tensor.view(parameter.shape))
    if found:
        raise ValueError("no place for " + ", ".join(found))
    return model.train(False)


def to_hf(model, out_dir, tokenizer=None):
    out = pathlib.Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    stored = {
        "transformer." + name: torch.zeros(shape) if ours is None else ours.detach().reshape(shape).clone().cpu()
        for name, ours, shape in pairs(model)
    }
    out.joinpath("model.safetensors").write_bytes(safetensors.torch.save(stored, metadata={"format": "pt"}))
    cfg = model.config
    facts = {key: default for key, default, _ in EXPECTED}
    facts |= {"model_type": "gpt2", "n_positions": cfg.block_size, "vocab_size": cfg.vocab_size}
    facts |= {"n_layer": cfg.n_layer, "n_head": cfg.n_head, "n_embd": cfg.n_embd}
    end = getattr(tokenizer, "eos_id", None)
    out.joinpath("config.json").write_text(json.dumps(facts | {"bos_token_id": end, "eos_token_id": end}), "utf-8")
    if tokenizer is not None:
        tokenizer.save(out)
    return out
