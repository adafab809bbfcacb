"""Steps load and export as maps from one dict to another."""

import json
from functools import partial
from pathlib import Path

import torch
from gpt import GPT, GPTConfig, shapes_of
from safetensors.torch import load_file, save_file

WORDS = {"attn.qkv": "attn.c_attn", "attn.out": "attn.c_proj", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}
WORDS |= {"ln1": "ln_1", "ln2": "ln_2"}
MATRICES = tuple(f"{word}.weight" for word in WORDS.values() if "ln" not in word)
OWN_WAY = {
    "activation_function": ["gelu_new", "gelu_pytorch_tanh"],
    "layer_norm_epsilon": [1e-5],
    "scale_attn_weights": [True],
    "scale_attn_by_inverse_layer_idx": [False],
    "tie_word_embeddings": [True],
}


def theirs(name):
    """blocks.0.attn.qkv.weight -> h.0.attn.c_attn.weight"""
    if not name.startswith("blocks."):
        return name
    _, number, rest = name.split(".", 2)
    word, kind = rest.rsplit(".", 1)
    return f"h.{number}.{WORDS[word]}.{kind}"


def flip(name, tensor):
    return tensor.movedim(0, 1).contiguous() if name.endswith(MATRICES) else tensor


def fail(message):
    raise ValueError(message)


def is_weight(name):
    return name != "lm_head.weight" and name.rpartition(".attn.")[2] not in ("bias", "masked_bias")


def merged(folder):
    index = folder / "model.safetensors.index.json"
    by_name = json.loads(index.read_text())["weight_map"] if index.exists() else {"": "model.safetensors"}
    dicts = map(load_file, map(partial(Path.joinpath, folder), set(by_name.values())))
    pairs = ((name.removeprefix("transformer."), tensor) for part in dicts for name, tensor in part.items())
    return {name: tensor for name, tensor in pairs if is_weight(name)}


def folder_of(source):
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source, allow_patterns=["config.json", "*.safetensors", "*.index.json"]))


def checked(config):
    allowed = OWN_WAY | {"n_inner": [None, 4 * config["n_embd"]]}
    return config if not (bad := [k for k in allowed if k in config and config[k] not in allowed[k]]) else fail(str(bad))


def from_hf(source):
    folder = folder_of(source)
    c = checked(json.loads((folder / "config.json").read_text()))
    config = GPTConfig(c["n_positions"], c["vocab_size"], c["n_layer"], c["n_head"], c["n_embd"])
    names = {theirs(name): name for name in shapes_of(config)}
    found = merged(folder)
    [fail(f"missing: {name}") for name in names if name not in found]
    [fail(f"left over: {name}") for name in found if name not in names]
    state = {f"net.{names[name]}": flip(name, tensor).float() for name, tensor in found.items()}
    model = GPT(config)
    own = model.state_dict()
    [fail(f"{theirs(k[4:])}: {v.shape}") for k, v in state.items() if own[k].shape != v.shape]
    model.load_state_dict(state, assign=True)
    return model.eval()


def to_hf(model, out_dir, tokenizer=None):
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    c = model.config
    whole = shapes_of(GPTConfig(c.block_size, c.vocab_size, c.n_layer, c.n_head, c.n_embd, bias=True))
    own = {name.removeprefix("net."): p.detach() for name, p in model.named_parameters()}
    values = {name: own.get(name, torch.zeros(shape)) for name, shape in whole.items()}
    tensors = {f"transformer.{theirs(name)}": flip(theirs(name), value).clone() for name, value in values.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", "by": "hand"})
    eos = None if tokenizer is None else tokenizer.eos_id
    said = {key: values[0] for key, values in OWN_WAY.items()}
    sizes = {"n_positions": c.block_size, "vocab_size": c.vocab_size}
    sizes |= {key: getattr(c, key) for key in ("n_layer", "n_head", "n_embd")}
    more = {"model_type": "gpt2", "eos_token_id": eos, "bos_token_id": eos}
    (folder / "config.json").write_text(json.dumps(said | sizes | more))
    if tokenizer is not None:
        tokenizer.save(folder)
    return folder
